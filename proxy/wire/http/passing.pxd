# Which fields of a head go on, whichever way it is written; what is put in besides: http1.pyx.
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport (
    CHUNKED,
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    HTTP2_SETTINGS,
    KEEP_ALIVE,
    NOMINATED,
    PROXY_CONNECTION,
    SERVER,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    X_ENVOY,
    X_ENVOY_ORIGINAL_PATH,
    X_ENVOY_UPSTREAM_SERVICE_TIME,
    X_FORWARDED_CLIENT_CERT,
    X_FORWARDED_PROTO,
    X_REQUEST_ID,
    Field,
    Head,
)

cdef enum:
    SWITCHING_PROTOCOLS = 101
    NO_CONTENT = 204
    UPGRADE_REQUIRED = 426


cdef inline bint hop_by_hop(int kind) noexcept:
    return kind in (CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, NOMINATED, HTTP2_SETTINGS)


cdef inline bint drop_from_request(int kind, Head head, bint upgrade) noexcept:
    if kind == 0:
        return False
    if kind == HOST:
        return head.absolute_form
    if kind == UPGRADE:
        return not upgrade
    if kind == CONTENT_LENGTH:
        return head.own_length
    if kind == X_REQUEST_ID:            # present but empty: ours takes its place
        return head.request_id.length == 0
    if kind == X_FORWARDED_PROTO:
        return head.forwarded_proto.length == 0
    return hop_by_hop(kind) or kind in (X_ENVOY, X_ENVOY_UPSTREAM_SERVICE_TIME, X_FORWARDED_CLIENT_CERT)


cdef inline bint drop_edited(const char* source, Field* field, Edits edits, bytes path) noexcept:
    return path is not None and field.kind == X_ENVOY_ORIGINAL_PATH or edits is not None and edits.drops(source, field)


cdef inline bint has_length(Head head, bint http2) noexcept:
    """Whether a response may say how long its body is: beside chunks only to HTTP/2, where they are taken off."""
    return head.status >= 200 and head.status != NO_CONTENT and (head.framing != CHUNKED or http2)


cdef inline bint says_nothing(Head head) noexcept:
    """Whether a length would say that there is no message in a stream of gRPC, where its end says that (and with trailers
    alone, some clients take it for a mistake)."""
    return head.grpc and head.content_length <= 0


cdef inline bint drop_from_response(int kind, Head head, bint http2) noexcept:
    if kind == 0:
        return False
    if kind == UPGRADE:
        return head.status != SWITCHING_PROTOCOLS and head.status != UPGRADE_REQUIRED
    if kind == CONTENT_LENGTH:
        return head.own_length or not has_length(head, http2)
    return hop_by_hop(kind) or kind in (SERVER, X_ENVOY_UPSTREAM_SERVICE_TIME)
