"""The access-log line of an exchange: which pieces of it are which of the log's fields."""

from libc.string cimport memset

from proxy.observe.access_log cimport AccessLog, Entry, Text
from proxy.wire.http.head cimport Head, Span
from proxy.wire.http.http1 cimport REQUEST_ID
from proxy.wire.stream cimport Stream


cdef int log_line(Attempting exchange, int64_t duration_ms) except -1:
    """Adds the line of a settled exchange to the log."""
    cdef Entry entry
    cdef Head request = exchange.request
    cdef const char* head = exchange.client.buffer
    memset(&entry, 0, sizeof(entry))
    entry.started = exchange.started_wall
    entry.status = exchange.status
    entry.bytes_received = exchange.request_body.data_bytes
    entry.bytes_sent = exchange.response_body.data_bytes
    entry.duration_ms = duration_ms
    entry.service_ms = exchange.service_ms
    if exchange.log_request:
        entry.method = text_of(head, &request.method_text)
        entry.path = text_of(head, &request.original_path if request.original_path.length else &request.path)
        entry.protocol = text(b"HTTP/2", 6) if exchange.client.http2 else text(b"HTTP/1.1", 8)
        entry.forwarded_for = text_of(head, &request.forwarded_for)
        entry.user_agent = text_of(head, &request.user_agent)
        entry.request_id = text_of(head, &request.request_id)
        if request.request_id.length == 0:
            entry.request_id = text(exchange.request_id, REQUEST_ID)
        entry.host = entry.authority = text_of(head, &request.authority)
    if exchange.cluster is not None:
        entry.authority = text(exchange.cluster.authority, len(exchange.cluster.authority))
        entry.cluster = text(exchange.cluster.envoy_name, len(exchange.cluster.envoy_name))
    if exchange.endpoint_text is not None:
        entry.endpoint = text(exchange.endpoint_text, len(exchange.endpoint_text))
    if exchange.endpoint_local is not None:
        entry.endpoint_local = text(exchange.endpoint_local, len(exchange.endpoint_local))
    set_client(&entry, exchange.client)
    entry.raw = exchange.raw
    if not exchange.raw:
        entry.details = text(b"via_upstream", 12)
    if exchange.fault is not None:
        set_fault(&entry, exchange.fault)
    return exchange.context.log.add(&entry)


cdef int log_refused(AccessLog log, Stream client, bytes method, int status, object fault, int64_t started) except -1:
    """Adds the line of a request for a tunnel that was not granted."""
    cdef Entry entry
    memset(&entry, 0, sizeof(entry))
    entry.started = started
    entry.method = text(method, len(method))
    entry.protocol = text(b"HTTP/2", 6)
    entry.status = status
    entry.service_ms = -1
    entry.raw = True
    entry.authority = entry.host = text(client.local, len(client.local))
    set_client(&entry, client)
    set_fault(&entry, fault)
    return log.add(&entry)


cdef int set_client(Entry* entry, Stream client) except -1:
    entry.local = text(client.local, len(client.local))
    entry.peer = text(client.peer, len(client.peer))
    if client.identity is not None:
        entry.identity = text(client.identity, len(client.identity))
    return 0


cdef inline Text text(const char* at, Py_ssize_t length) noexcept:
    cdef Text piece
    piece.at = at
    piece.length = length
    return piece


cdef inline Text text_of(const char* head, Span* span) noexcept:
    return text(head + span.at, span.length)


cdef int set_fault(Entry* entry, object fault) except -1:
    """The texts live as long as the fault, which the exchange holds."""
    cdef bytes flags = fault.flags, details = fault.details, transport = fault.transport_failure
    entry.flags = text(flags, len(flags))
    entry.details = text(details, len(details))
    entry.transport_failure = text(transport, len(transport))
    return 0
