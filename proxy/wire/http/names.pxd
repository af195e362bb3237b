# The methods and field names a proxy knows, and the lists they carry (RFC 9110 5.6.1).
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

from proxy.wire.http cimport head
from proxy.wire.http.octets cimport DIGIT, TOKEN, equal_fold, is_a, is_blank, same, trim


cdef inline int kind_of(const char* name, uint32_t length) noexcept nogil:
    """The head.Kind of a field name, which is a token. By length first: there most names differ from all we know."""
    if length == 2:
        return head.TE if same(name, b"te", 2) else head.OTHER
    elif length == 4:
        return head.HOST if same(name, b"host", 4) else head.DATE if same(name, b"date", 4) else head.OTHER
    elif length == 6:
        return head.SERVER if same(name, b"server", 6) else head.EXPECT if same(name, b"expect", 6) else head.OTHER
    elif length == 7:
        return head.UPGRADE if same(name, b"upgrade", 7) else head.OTHER
    elif length == 10:
        return kind_of_10(name)
    elif length == 11:
        return head.GRPC_STATUS if same(name, b"grpc-status", 11) else kind_of_x(name, length)
    elif length == 12:
        return (head.CONTENT_TYPE if same(name, b"content-type", 12) else
                head.X_REQUEST_ID if same(name, b"x-request-id", 12) else head.OTHER)
    elif length == 14:
        return (head.CONTENT_LENGTH if same(name, b"content-length", 14) else
                head.HTTP2_SETTINGS if same(name, b"http2-settings", 14) else kind_of_x(name, length))
    elif length == 16:
        return head.PROXY_CONNECTION if same(name, b"proxy-connection", 16) else kind_of_x(name, length)
    elif length == 17:
        return head.TRANSFER_ENCODING if same(name, b"transfer-encoding", 17) else kind_of_x(name, length)
    return kind_of_x(name, length)


cdef inline int kind_of_10(const char* name) noexcept nogil:
    if same(name, b"connection", 10):
        return head.CONNECTION
    if same(name, b"user-agent", 10):
        return head.USER_AGENT
    return head.KEEP_ALIVE if same(name, b"keep-alive", 10) else kind_of_x(name, 10)


cdef inline int kind_of_x(const char* name, uint32_t length) noexcept nogil:
    """What proxies told each other, as far as it is not recognised by length alone."""
    if length == 23 and is_alike(name, b"x-forwarded-client-cert", 23):
        return head.X_FORWARDED_CLIENT_CERT
    if length < 8 or name[1] != c"-" or not same(name, b"x-", 2):
        return head.OTHER
    if same(name, b"x-envoy-", 8):
        if length == 21 and same(name, b"x-envoy-original-path", 21):
            return head.X_ENVOY_ORIGINAL_PATH
        if length == 29 and same(name, b"x-envoy-upstream-service-time", 29):
            return head.X_ENVOY_UPSTREAM_SERVICE_TIME
        return head.X_ENVOY
    if length == 15 and same(name, b"x-forwarded-for", 15):
        return head.X_FORWARDED_FOR
    if length == 17 and same(name, b"x-forwarded-proto", 17):
        return head.X_FORWARDED_PROTO
    return head.OTHER


cdef inline bint is_alike(const char* text, const char* name, uint32_t length) noexcept nogil:
    """Whether an endpoint could take one for the other: CGI and what comes of it (WSGI, PHP, Rack) know no difference
    between `-` and `_`, nor of case."""
    cdef uint32_t at
    for at in range(length):
        if plain(text[at]) != plain(name[at]):
            return False
    return True


cdef inline char plain(char octet) noexcept nogil:
    """In lower case, as CGI has it."""
    return c"-" if octet == c"_" else octet | 0x20 if c"A" <= octet <= c"Z" else octet


cdef inline bint may_nominate(const char* name, uint32_t length) noexcept nogil:
    """Whether Connection may have us take this field out: not what frames or routes, nor what other proxies attest."""
    cdef int kind = kind_of(name, length)
    if length > 12 and same(name, b"x-forwarded-", 12) or length > 8 and same(name, b"x-envoy-", 8):
        return False
    return not (kind == head.HOST or kind == head.CONTENT_LENGTH or kind == head.TRANSFER_ENCODING or
                kind == head.EXPECT or kind == head.X_REQUEST_ID)


cdef inline bint next_member(const char* data, uint32_t* at, uint32_t end, head.Span* member) noexcept nogil:
    """The next member of the comma list in data[at:end], empty ones skipped, and `at` moved past it; False: no more."""
    cdef uint32_t here = at[0]
    while here < end and (is_blank(data[here]) or data[here] == c","):
        here += 1
    member.at = here
    while here < end and data[here] != c",":
        here += 1
    at[0] = here
    member.length = trim(data, member.at, here) - member.at
    return member.length > 0


cdef inline bint is_token(const char* text, uint32_t length) noexcept nogil:
    cdef uint32_t index
    for index in range(length):
        if not is_a(text[index], TOKEN):
            return False
    return length > 0


cdef inline int method_of(const char* text, uint32_t length) noexcept nogil:
    """The head.Method of a method, which is case-sensitive."""
    if length == 3:
        if memcmp(text, b"GET", 3) == 0:
            return head.M_GET
        return head.M_PUT if memcmp(text, b"PUT", 3) == 0 else head.M_OTHER
    elif length == 4:
        if memcmp(text, b"POST", 4) == 0:
            return head.M_POST
        return head.M_HEAD if memcmp(text, b"HEAD", 4) == 0 else head.M_OTHER
    elif length == 5:
        if memcmp(text, b"PATCH", 5) == 0:
            return head.M_PATCH
        return head.M_TRACE if memcmp(text, b"TRACE", 5) == 0 else head.M_OTHER
    elif length == 6:
        return head.M_DELETE if memcmp(text, b"DELETE", 6) == 0 else head.M_OTHER
    elif length == 7:
        if memcmp(text, b"OPTIONS", 7) == 0:
            return head.M_OPTIONS
        return head.M_CONNECT if memcmp(text, b"CONNECT", 7) == 0 else head.M_OTHER
    return head.M_OTHER


cdef inline bint absent(head.Span span) noexcept nogil:
    return span.at == 0 and span.length == 0


cdef inline head.Span span_of(uint32_t at, uint32_t length) noexcept nogil:
    cdef head.Span span
    span.at = at
    span.length = length
    return span


cdef inline bint is_text(const char* data, head.Span span, const char* lower, uint32_t length) noexcept nogil:
    return span.length == length and same(data + span.at, lower, length)


cdef inline bint is_called(const char* data, head.Field* field, const char* name, uint32_t length) noexcept nogil:
    """Whether a field has that name, which may be any token: is_text takes no `_` for one."""
    return field.name_length == length and equal_fold(data + field.name, name, length)


cdef inline bint is_grpc(const char* data, head.Span value) noexcept nogil:
    """Of a content-type: application/grpc or application/grpc+something; application/grpc-web is something else."""
    cdef uint8_t after
    if value.length < 16 or not same(data + value.at, b"application/grpc", 16):
        return False
    after = data[value.at + 16]     # at the latest the CR behind the value
    return after == c"+" or not is_a(after, TOKEN)


cdef inline int grpc_status_of(const char* data, head.Span value) noexcept nogil:
    """A number of one or two digits (gRPC has 0 to 16), or -1: anything else says nothing."""
    cdef const char* digits = data + value.at
    if value.length < 1 or value.length > 2 or not is_a(digits[0], DIGIT):
        return -1
    if value.length == 1:
        return digits[0] - c"0"
    return (digits[0] - c"0") * 10 + digits[1] - c"0" if is_a(digits[1], DIGIT) else -1


cdef inline int64_t grpc_timeout_of(const char* data, head.Span value) noexcept nogil:
    """The nanoseconds of a grpc-timeout, up to eight digits and a unit; 0 if it is none, or says nothing."""
    cdef int64_t count = 0
    cdef uint32_t at
    cdef char unit
    if value.length < 2 or value.length > 9:
        return 0
    for at in range(value.at, value.at + value.length - 1):
        if not is_a(data[at], DIGIT):
            return 0
        count = count * 10 + data[at] - c"0"
    unit = data[value.at + value.length - 1]
    if unit == c"n":
        return count
    if unit == c"u":
        return count * 1_000
    if unit == c"m":
        return count * 1_000_000
    if unit == c"S":
        return count * 1_000_000_000
    if unit == c"M":
        return count * 60 * 1_000_000_000
    return count * 3_600 * 1_000_000_000 if unit == c"H" and count < 1_000_000 else 0
