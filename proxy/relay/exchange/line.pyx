"""The access-log line of an exchange: which pieces of it are which of the log's fields."""

from libc.string cimport memset

from proxy.observe.access_log cimport AccessLog, Entry, Text
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.exchange.answer cimport Answer
from proxy.relay.exchange.attempt cimport Attempt
from proxy.relay.exchange.exchange cimport Exchange
from proxy.relay.exchange.request cimport Request
from proxy.wire.http.head cimport Head, Span
from proxy.wire.http.http1 cimport REQUEST_ID
from proxy.wire.stream cimport Stream

from proxy.relay.exchange import faults

cdef bytes VIA_UPSTREAM = faults.VIA_UPSTREAM


cdef int log_line(Exchange exchange, Answer answer, int64_t bytes_sent, int64_t duration_ms) except -1:
    """Adds the line of a settled exchange to the log. `answer` None: it was bytes, not a request."""
    cdef Entry entry
    cdef Request request = exchange.request
    cdef Cluster cluster = exchange.cluster
    cdef Attempt attempt = exchange.attempt
    memset(&entry, 0, sizeof(entry))
    entry.started = request.started_wall
    entry.bytes_received = request.body.data_bytes
    entry.bytes_sent = bytes_sent
    entry.duration_ms = duration_ms
    entry.raw = answer is None
    if answer is None:
        entry.service_ms = -1
    else:
        entry.status, entry.service_ms = answer.status, answer.service_ms
        set_details(&entry, VIA_UPSTREAM)
    if request.parsed:
        set_request(&entry, request)
    if request.route is not None:
        entry.route = text(request.route, len(request.route))
    if request.shadow is not None:
        entry.shadow = text(request.shadow, len(request.shadow))
    if cluster is not None:
        entry.authority = text(cluster.authority, len(cluster.authority))
        entry.cluster = text(cluster.envoy_name, len(cluster.envoy_name))
    if attempt.endpoint is not None:
        entry.endpoint = text(attempt.endpoint.text, len(attempt.endpoint.text))
    if attempt.local is not None:
        entry.endpoint_local = text(attempt.local, len(attempt.local))
    set_client(&entry, request.client)
    if exchange.fault is not None:
        set_fault(&entry, exchange.fault)
    if exchange.flags is not None:
        entry.flags = text(exchange.flags, len(exchange.flags))
    if request.failures:
        return add_with_failures(exchange.context.log, &entry, request)
    return exchange.context.log.add(&entry)


cdef int add_with_failures(AccessLog log, Entry* entry, Request request) except -1:
    """Adds the line of a request of which attempts failed."""
    cdef bytes failures = ",".join(request.failures).encode()
    entry.failed_attempts = text(failures, len(failures))
    return log.add(entry)


cdef int set_request(Entry* entry, Request request) except -1:
    """What its head says of it."""
    cdef Head head = request.head
    cdef const char* at = request.client.buffer
    entry.method = text_of(at, &head.method_text)
    entry.path = text_of(at, &head.path)  # x-envoy-original-path may be anybody's
    entry.protocol = text(b"HTTP/2", 6) if request.client.http2 else text(b"HTTP/1.1", 8)
    entry.forwarded_for = text_of(at, &head.forwarded_for)
    entry.user_agent = text_of(at, &head.user_agent)
    entry.request_id = text_of(at, &head.request_id)
    if head.request_id.length == 0:
        entry.request_id = text(request.own_id, REQUEST_ID)
    entry.host = entry.authority = text_of(at, &head.authority)
    return 0


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
    cdef bytes flags = fault.flags, transport = fault.transport_failure
    entry.flags = text(flags, len(flags))
    set_details(entry, fault.details)
    entry.transport_failure = text(transport, len(transport))
    return 0


cdef int set_details(Entry* entry, bytes details) except -1:
    entry.details = text(details, len(details))
    return 0
