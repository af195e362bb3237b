"""Reads request and response heads of HTTP/1.1: strictly, in place, without a Python object.

Rules of RFC 9112 and RFC 9110. What two readers could take for two different messages is refused: bare CR or LF, NUL,
obs-fold, a blank before the colon, Content-Length that repeats or comes with Transfer-Encoding, codings other than
chunked, no Host or two, control characters anywhere. May not touch a socket, allocate, or keep a pointer into the
bytes.
`scan` finds the end of a head and makes sure that each of its lines ends in CRLF; `parse_*` relies on that and reads
data[:size], the head as scan found it, so its loops over octet classes stop at a CR at the latest.
"""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp

from proxy.wire.http.authority cimport is_authority
from proxy.wire.http.names cimport (
    absent, grpc_status_of, is_grpc, is_text, is_token, kind_of, may_nominate, method_of, next_member, span_of,
)
from proxy.wire.http.octets cimport (
    CR, DIGIT, LF, SP, TARGET, TOKEN, VALUE, equal_fold, is_a, is_blank, same, skip, skip_value, trim,
)

cdef enum:
    LENGTH_DIGITS = 18          # a Content-Length that fits an int64 whatever its digits are
    SHORTEST_TAIL = 12          # HTTP/1.1 CRLF CRLF
    SHORTEST_STATUS_LINE = 16   # HTTP/1.1 200 CRLF CRLF


@cython.final
cdef class Head:
    """One head. Reused for the next one; offsets are from the first byte given to parse. `most_fields` and `largest` are
    how much of one is accepted."""

    def __cinit__(self, int most_fields=MAX_FIELDS, Py_ssize_t largest=MAX_HEAD):
        self.most_fields, self.largest = most_fields, largest
        self.fields = <Field*>malloc(most_fields * sizeof(Field))
        if self.fields == NULL:
            raise MemoryError
        self.clear()

    def __dealloc__(self):
        free(self.fields)

    cdef void clear(self) noexcept nogil:
        """Forget everything: an empty head."""
        cdef Span none = span_of(0, 0)
        self.count = self.options = self.hosts = self.status = 0
        self.size = self.fields_at = 0
        self.minor = 1
        self.method = M_OTHER
        self.method_text = self.target = self.authority = self.path = self.reason = self.host = none
        self.request_id = self.forwarded_for = self.user_agent = none
        self.original_path = self.forwarded_proto = self.upgrade_to = none
        self.framing = NO_BODY
        self.content_length = self.grpc_status = -1
        self.absolute_form = self.close = self.keep_alive = self.upgrade = self.nominates = False
        self.expect_continue = self.te_trailers = self.has_date = self.has_server = self.grpc = False
        self.coding = NO_CODING
        self.fault = NULL

    cdef int scan(self, const char* data, Py_ssize_t length, Py_ssize_t* scanned) noexcept nogil:
        """The size of the head that data[:length] begins with, INCOMPLETE, BAD or TOO_LARGE.

        `scanned` says how far earlier calls came, 0 at first; data may have moved meanwhile. One empty line before a
        head belongs to it (RFC 9112 2.2). BAD as soon as a line does not end in CRLF or a NUL arrives.
        """
        cdef Py_ssize_t limit = min(length, self.largest)
        cdef Py_ssize_t at = scanned[0]
        cdef Py_ssize_t start = at
        cdef const char* found
        cdef int result = INCOMPLETE
        while result == INCOMPLETE:
            found = <const char*>memchr(data + at, LF, limit - at)
            if found == NULL:
                at = limit
                break
            at = found - data + 1
            if at < 2 or data[at - 2] != CR:
                result = self.bad(b"line does not end in CRLF")
            elif at == 4 and data[1] == LF:
                result = self.bad(b"empty lines only")
            elif at > 2 and data[at - 3] == LF:
                result = <int>at
        if memchr(data + start, 0, at - start) != NULL:
            return self.bad(b"NUL")
        scanned[0] = at
        return TOO_LARGE if result == INCOMPLETE and length >= self.largest else result

    cdef int parse_request(self, const char* data, uint32_t size) noexcept nogil:
        """Read the request head data[:size], as found by scan: 0 or a negative Result."""
        cdef int result
        self.clear()
        self.size = size
        result = self.request_line(data, 2 if data[0] == CR and data[1] == LF else 0)
        if result == 0:
            result = self.read_fields(data)
        if result == 0:
            result = self.frame_request()
        if result == 0:
            result = self.place_target(data)
        if result == 0:
            result = NOT_IMPLEMENTED if self.coding == OTHER_CODING else LOW_VERSION if self.minor == 0 else 0
        return result

    cdef int parse_response(self, const char* data, uint32_t size, int request_method) noexcept nogil:
        """Read the response head data[:size], the answer to a request of that Method: 0 or a negative Result."""
        cdef int result
        self.clear()
        self.size = size
        result = self.status_line(data)
        if result == 0:
            result = self.read_fields(data)
        if result == 0:
            result = self.frame_response(request_method)
        return result

    cdef inline int bad(self, const char* fault) noexcept nogil:
        self.fault = fault
        return BAD

    # --- first lines ---

    cdef inline int request_line(self, const char* data, uint32_t start) noexcept nogil:
        cdef uint32_t at = skip(data, start, TOKEN)
        if at == start or data[at] != SP:
            return self.bad(b"method")
        self.method_text = span_of(start, at - start)
        self.method = method_of(data + start, at - start)
        start = at + 1
        at = skip(data, start, TARGET)
        if at == start or data[at] != SP:
            return self.bad(b"target")
        self.target = self.path = span_of(start, at - start)
        at += 1
        if self.size - at < SHORTEST_TAIL or not self.read_version(data + at):
            return self.bad(b"version")
        if data[at + 8] != CR or data[at + 9] != LF:
            return self.bad(b"version")
        self.fields_at = at + 10
        return 0

    cdef inline bint read_version(self, const char* text) noexcept nogil:
        """HTTP/1.1, HTTP/1.0 or HTTP/0.x, the latter two as minor 0; False: anything else."""
        self.minor = 1 if text[5] == c"1" and text[7] == c"1" else 0
        return (memcmp(text, b"HTTP/", 5) == 0 and text[6] == c"." and
                (text[5] == c"1" and (text[7] == c"0" or text[7] == c"1") or text[5] == c"0" and is_a(text[7], DIGIT)))

    cdef inline int status_line(self, const char* data) noexcept nogil:
        cdef uint32_t at, end
        if self.size < SHORTEST_STATUS_LINE or data[5] != c"1" or not self.read_version(data) or data[8] != SP:
            return self.bad(b"version")
        if data[9] < c"1" or data[9] > c"5" or not is_a(data[10], DIGIT) or not is_a(data[11], DIGIT):
            return self.bad(b"status")
        self.status = (data[9] - c"0") * 100 + (data[10] - c"0") * 10 + (data[11] - c"0")
        at = end = 12
        if data[12] == SP:
            at = 13
            end = skip(data, at, VALUE)
        if data[end] != CR or data[end + 1] != LF:
            return self.bad(b"reason")
        self.reason = span_of(at, end - at)
        self.fields_at = end + 2
        return 0

    # --- fields ---

    cdef inline int read_fields(self, const char* data) noexcept nogil:
        cdef uint32_t at = self.fields_at
        cdef uint32_t start, end, last = self.size - 2
        cdef Field* field = self.fields
        cdef int result
        while at != last:
            if self.count == self.most_fields:
                return TOO_MANY_FIELDS
            start = at
            at = skip(data, start, TOKEN)
            if at == start or data[at] != c":":
                return self.bad(b"field name")
            field.name = start
            field.name_length = at - start
            at += 1
            while is_blank(data[at]):
                at += 1
            field.value = at
            end = skip_value(data, at, self.size)
            if data[end] != CR or data[end + 1] != LF:
                return self.bad(b"field value")
            field.value_length = trim(data, at, end) - at
            field.line_end = at = end + 2
            field.kind = kind_of(data + start, field.name_length)
            self.count += 1
            if field.kind != OTHER:
                result = self.note(data, field.kind, span_of(field.value, field.value_length))
                if result != 0:
                    return result
            field += 1
        if self.nominates:
            self.nominate_all(data)
        self.upgrade = self.upgrade and self.upgrade_to.length > 0
        return self.check_coding()

    cdef int note(self, const char* data, int kind, Span value) noexcept nogil:
        """Remember what a field says to a proxy. Of those that do no harm twice, the first counts."""
        if kind == HOST:
            self.hosts += 1
            self.host = value
        elif kind == CONTENT_LENGTH:
            return self.read_content_length(data + value.at, value.length)
        elif kind == TRANSFER_ENCODING:
            return self.read_transfer_encoding(data, value)
        elif kind == CONNECTION:
            return self.read_connection(data, value)
        elif kind == TE:
            self.read_te(data, value)
        elif kind == EXPECT:
            self.expect_continue = self.expect_continue or is_text(data, value, b"100-continue", 12)
        elif kind == CONTENT_TYPE:
            self.grpc = is_grpc(data, value)
        elif kind == GRPC_STATUS:
            self.grpc_status = grpc_status_of(data, value)
        elif kind == DATE:
            self.has_date = True
        elif kind == SERVER:
            self.has_server = True
        elif value.length > 0:
            self.keep(kind, value)
        return 0

    cdef void keep(self, int kind, Span value) noexcept nogil:
        if kind == USER_AGENT and absent(self.user_agent):
            self.user_agent = value
        elif kind == X_REQUEST_ID and absent(self.request_id):
            self.request_id = value
        elif kind == X_FORWARDED_FOR and absent(self.forwarded_for):
            self.forwarded_for = value
        elif kind == X_FORWARDED_PROTO and absent(self.forwarded_proto):
            self.forwarded_proto = value
        elif kind == X_ENVOY_ORIGINAL_PATH and absent(self.original_path):
            self.original_path = value
        elif kind == UPGRADE and absent(self.upgrade_to):
            self.upgrade_to = value

    cdef int read_content_length(self, const char* digits, uint32_t length) noexcept nogil:
        cdef uint32_t index
        if self.content_length != -1:
            return self.bad(b"content-length twice")
        if length < 1 or length > LENGTH_DIGITS:
            return self.bad(b"content-length")
        self.content_length = 0
        for index in range(length):
            if not is_a(digits[index], DIGIT):
                return self.bad(b"content-length")
            self.content_length = self.content_length * 10 + (digits[index] - c"0")
        return 0

    cdef int read_transfer_encoding(self, const char* data, Span value) noexcept nogil:
        if self.coding != NO_CODING or value.length == 0:
            return self.bad(b"transfer-encoding empty or twice")
        if data[value.at + value.length] != CR:     # allowed, but no sender does it, and parsers differ on it
            return self.bad(b"blank after transfer-encoding")
        self.coding = CHUNKED_CODING if is_text(data, value, b"chunked", 7) else OTHER_CODING
        return 0

    cdef int read_connection(self, const char* data, Span value) noexcept nogil:
        cdef uint32_t at = value.at
        cdef Span option
        while next_member(data, &at, value.at + value.length, &option):
            self.options += 1
            if self.options > MAX_FIELDS or not is_token(data + option.at, option.length):
                return self.bad(b"connection")
            if is_text(data, option, b"close", 5):
                self.close = True
            elif is_text(data, option, b"keep-alive", 10):
                self.keep_alive = True
            elif is_text(data, option, b"upgrade", 7):
                self.upgrade = True
            elif not may_nominate(data + option.at, option.length):
                return self.bad(b"connection names an end-to-end field")
            else:
                self.nominates = True
        return 0

    cdef void read_te(self, const char* data, Span value) noexcept nogil:
        cdef uint32_t at = value.at
        cdef Span coding
        while next_member(data, &at, value.at + value.length, &coding):
            if is_text(data, coding, b"trailers", 8):
                self.te_trailers = True

    cdef void nominate_all(self, const char* data) noexcept nogil:
        """Mark the fields that Connection names as hop-by-hop (RFC 9110 7.6.1)."""
        cdef int index
        cdef uint32_t at, end
        cdef Span option
        for index in range(self.count):
            if self.fields[index].kind == CONNECTION:
                at = self.fields[index].value
                end = at + self.fields[index].value_length
                while next_member(data, &at, end, &option):
                    self.nominate(data, option)

    cdef void nominate(self, const char* data, Span option) noexcept nogil:
        cdef Field* field
        cdef int index
        for index in range(self.count):
            field = self.fields + index
            if field.name_length == option.length and equal_fold(data + field.name, data + option.at, option.length):
                if field.kind == DATE:
                    self.has_date = False
                elif field.kind == SERVER:
                    self.has_server = False
                if field.kind != CONNECTION and field.kind != TE and field.kind != UPGRADE:
                    field.kind = NOMINATED

    # --- what it comes to ---

    cdef inline int check_coding(self) noexcept nogil:
        if self.coding != NO_CODING and self.content_length != -1:
            return self.bad(b"content-length with transfer-encoding")
        if self.coding != NO_CODING and self.minor == 0:
            return self.bad(b"transfer-encoding in HTTP/1.0")
        return 0

    cdef inline int frame_request(self) noexcept nogil:
        """RFC 9112 6.3 for requests."""
        if self.coding != NO_CODING:
            self.framing = CHUNKED
        elif self.content_length > 0:
            self.framing = LENGTH
        self.upgrade = self.upgrade and self.framing == NO_BODY     # else ignored: some begin the tunnel with the body
        if self.method == M_CONNECT and (self.coding != NO_CODING or self.content_length != -1):
            return self.bad(b"CONNECT with a body")
        return 0

    cdef inline int frame_response(self, int request_method) noexcept nogil:
        """RFC 9112 6.3 for responses."""
        if self.coding == OTHER_CODING:
            return self.bad(b"transfer-encoding")
        if self.status < 200 and (self.coding != NO_CODING or self.content_length > 0):
            return self.bad(b"1xx with a body")         # never has one, but not all parsers know that
        if self.minor == 0 and not self.keep_alive:
            self.close = True
        if self.status < 200 or self.status == 204 or self.status == 304 or request_method == M_HEAD \
                or request_method == M_CONNECT and self.status < 300:
            self.framing = NO_BODY
        elif self.coding == CHUNKED_CODING:
            self.framing = CHUNKED
        elif self.content_length != -1:
            self.framing = LENGTH if self.content_length > 0 else NO_BODY
        else:
            self.framing = UNTIL_CLOSE
        return 0

    cdef inline int place_target(self, const char* data) noexcept nogil:
        """Which of the four forms the target has (RFC 9112 3.2), and from it and Host the authority and the path."""
        cdef const char* target = data + self.target.at
        if self.hosts > 1 or self.hosts == 0 and self.minor > 0:
            return self.bad(b"no host, or two")
        if self.hosts > 0 and (self.host.length > 0 or self.method != M_CONNECT):
            if not is_authority(data + self.host.at, self.host.length, False):
                return self.bad(b"host")
        self.authority = self.host
        if self.method == M_CONNECT:
            self.authority = self.target
            return 0 if is_authority(target, self.target.length, True) else self.bad(b"target")
        if target[0] == c"/" or self.method == M_OPTIONS and target[0] == c"*" and self.target.length == 1:
            return 0
        return self.cut_absolute_form(data)

    cdef int cut_absolute_form(self, const char* data) noexcept nogil:
        cdef uint32_t start = self.target.at
        cdef uint32_t end = start + self.target.length
        cdef uint32_t slashes = 4
        cdef uint32_t at
        if self.target.length < 8 or not same(data + start, b"http", 4):
            return self.bad(b"target")
        if data[start + 4] == c"s" or data[start + 4] == c"S":
            slashes = 5
        at = start + slashes
        if memcmp(data + at, b"://", 3) != 0:
            return self.bad(b"target")
        at += 3
        self.absolute_form = True
        start = at
        while at < end and data[at] != c"/" and data[at] != c"?":
            at += 1
        self.authority = span_of(start, at - start)
        if not is_authority(data + start, at - start, False) or at < end and data[at] == c"?":
            return self.bad(b"target")
        # an empty path is sent on as "/": the slash before the authority serves as one
        self.path = span_of(at, end - at) if at < end else span_of(start - 1, 1)
        return 0
