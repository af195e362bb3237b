"""Reads request and response heads: in place, without a Python object per field.

Rules of RFC 9112 and RFC 9110. A request's head is read strictly: what two readers could take for two different
messages is refused: bare CR or LF, NUL, obs-fold, a blank before the colon, Content-Length that repeats or comes with
Transfer-Encoding, codings other than chunked, two Hosts or none, control characters anywhere. A response's (`lenient`)
is taken wherever it can be understood in one way only: LF alone ends its lines, folded lines and blanks before the
colon are mended where they lie, and framing.pyx and connection.pyx are milder too. What goes on is written anew
(http1.pyx), so nobody behind us has to understand any of that.

A head of HTTP/2 comes in fields, which are laid out as lines where a head of HTTP/1.1 would be: each goes through the
same octet checks and the same notes as it comes (`take_line`), and the end through the same rules (`end_request`,
`end_response`), so that there is one gate; nothing is read twice. What has come of it is in `result` once it is `whole`.

May not touch a socket, allocate, or keep a pointer into the bytes. `scan` finds the end of a head and makes sure how
its lines end; `parse_*` relies on that and reads data[:size], the head as scan found it, so its loops over octet
classes stop at a CR or LF at the latest.
"""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memset

from proxy.wire.http.connection cimport nominate_all, read_connection, read_te
from proxy.wire.http.framing cimport frame_request, frame_response, read_content_length, read_transfer_encoding
from proxy.wire.http.names cimport absent, grpc_status_of, is_grpc, is_text, kind_of, method_of, span_of
from proxy.wire.http.octets cimport (
    CR, DIGIT, LF, SP, TARGET, TOKEN, VALUE, is_a, is_blank, skip, skip_blanks, skip_value, trim,
)
from proxy.wire.http.target cimport place_target

cdef enum:
    SHORTEST_TAIL = 12          # HTTP/1.1 CRLF CRLF
    SHORTEST_STATUS_LINE = 14   # HTTP/1.1 200 LF LF


cdef inline bint begins_response(const char* data, Py_ssize_t length) noexcept nogil:
    """Whether an empty line at most, and what is there of `HTTP/`, come first."""
    cdef Py_ssize_t at = 1 if length and data[0] == CR else 0
    if at < length and data[at] == LF:
        at += 1
    return length <= at or memcmp(data + at, b"HTTP/", min(length - at, 5)) == 0


@cython.final
cdef class Head:
    """One head. Reused for the next one; offsets are from the first byte given to parse. `most_fields` and `largest`
    are how much of one is accepted; `lenient`: it is for responses."""

    def __cinit__(self, int most_fields=MAX_FIELDS, Py_ssize_t largest=MAX_HEAD, bint lenient=False):
        self.most_fields, self.largest, self.lenient = most_fields, largest, lenient
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
        self.size = self.fields_at = self.fields_end = 0
        self.minor = 1
        self.method = M_OTHER
        self.method_text = self.target = self.authority = self.path = self.reason = self.host = none
        self.request_id = self.forwarded_for = self.user_agent = none
        self.forwarded_proto = self.upgrade_to = none
        self.framing = NO_BODY
        self.content_length = self.grpc_status = -1
        self.absolute_form = self.close = self.keep_alive = self.upgrade = self.nominates = False
        self.expect_continue = self.te_trailers = self.has_date = self.has_server = self.grpc = False
        self.own_length = self.bare_lf = self.https = self.secured = self.whole = False
        self.result = 0
        self.coding = NO_CODING
        self.fault = NULL

    cdef int scan(self, const char* data, Py_ssize_t length, Py_ssize_t* scanned) noexcept nogil:
        """The size of the head that data[:length] begins with, INCOMPLETE, BAD, TOO_LARGE or NO_HTTP.

        `scanned` says how far earlier calls came, 0 at first; data may have moved meanwhile. One empty line before a
        head belongs to it (RFC 9112 2.2). BAD as soon as a line ends wrongly or a NUL arrives.
        """
        cdef Py_ssize_t limit = min(length, self.largest)
        cdef Py_ssize_t at = scanned[0]
        cdef Py_ssize_t start = at
        cdef const char* found
        cdef int result = INCOMPLETE
        if self.lenient and not begins_response(data, limit):
            self.fault = b"not HTTP"
            return NO_HTTP
        while result == INCOMPLETE:
            found = <const char*>memchr(data + at, LF, limit - at)
            if found == NULL:
                at = limit
                break
            at = found - data + 1
            result = self.end_of_line_leniently(data, at) if self.lenient else self.end_of_line(data, at)
        if memchr(data + start, 0, at - start) != NULL:
            return self.bad(b"NUL")
        scanned[0] = at
        return TOO_LARGE if result == INCOMPLETE and length >= self.largest else result

    cdef inline int end_of_line(self, const char* data, Py_ssize_t at) noexcept nogil:
        """A line ends at `at`: the size of the head if it is the last one, else INCOMPLETE; or BAD."""
        if at < 2 or data[at - 2] != CR:
            return self.bad(b"line does not end in CRLF")
        if at == 4 and data[1] == LF:
            return self.bad(b"empty lines only")
        return <int>at if at > 2 and data[at - 3] == LF else INCOMPLETE

    cdef inline int end_of_line_leniently(self, const char* data, Py_ssize_t at) noexcept nogil:
        """The same, and LF alone ends a line too (RFC 9112 2.2)."""
        cdef Py_ssize_t last = at - 2       # the octet before the line's end
        if last >= 0 and data[last] == CR:
            last -= 1
        return <int>at if last >= 0 and data[last] == LF else INCOMPLETE

    cdef int parse_request(self, char* data, uint32_t size) noexcept nogil:
        """Read the request head data[:size], as found by scan: 0 or a negative Result."""
        cdef int result
        self.measure(data, size)
        result = self.request_line(data, 2 if data[0] == CR and data[1] == LF else 0)
        if result == 0:
            result = self.read_fields(data)
        return result if result != 0 else self.settle_request(data)

    cdef int settle_request(self, char* data) noexcept nogil:
        """What its fields come to together."""
        cdef int result = frame_request(self)
        if result == 0:
            result = place_target(self, data)
        if result == 0:
            result = NOT_IMPLEMENTED if self.coding == OTHER_CODING else LOW_VERSION if self.minor == 0 else 0
        return result

    cdef int parse_response(self, char* data, uint32_t size, int request_method) noexcept nogil:
        """Read the response head data[:size], the answer to a request of that Method: 0 or a negative Result."""
        cdef int result
        self.measure(data, size)
        result = self.status_line(data, 2 if data[0] == CR and data[1] == LF else 1 if data[0] == LF else 0)
        if result == 0:
            result = self.read_fields(data)
        if result == 0:
            result = frame_response(self, request_method)
        return result

    # --- a head that comes in fields ---

    cdef void take_request_line(self, uint32_t method_length, uint32_t target_length, int method) noexcept nogil:
        """data begins with the line that these make, which has been looked at; before any `take_line`."""
        self.method = method
        self.method_text = span_of(0, method_length)
        self.target = self.path = span_of(method_length + 1, target_length)
        self.fields_at = method_length + target_length + 12

    cdef void take_status_line(self, const char* data, uint32_t end) noexcept nogil:
        """data[:end] is one, without blanks but where they belong."""
        self.size = end
        self.result = self.status_line(data, 0)

    cdef bint take_line(self, char* data, uint32_t at, uint32_t name_length, uint32_t end) noexcept nogil:
        """One more field, data[at:end], which was laid out as a line: False if it is none, or more than one. What it says
        to a proxy may be as bad as in any head: that is in `result`."""
        cdef uint32_t behind = at
        if self.result == 0 and self.count < self.most_fields:
            self.size, self.fields_end = end, 0     # nothing is there that could be a fold
            self.result = self.read_field(data, &behind)
            return behind == end and self.fields[self.count - 1].name_length == name_length
        if self.result == 0:
            self.result = TOO_MANY_FIELDS
        return skip_value(data, at + name_length, end) == end - 2

    cdef int end_request(self, char* data, uint32_t size) noexcept nogil:
        """It is whole, with its blank line: as parse_request."""
        self.size, self.fields_end, self.whole = size, size - 2, True
        if size > self.largest:
            self.result = TOO_LARGE
        elif self.result == 0:
            self.end_fields(data)
            self.result = self.settle_request(data)
        return self.result

    cdef int end_response(self, char* data, uint32_t size, int request_method) noexcept nogil:
        """The same, as parse_response."""
        self.size, self.fields_end, self.whole = size, size - 2, True
        if size > self.largest:
            self.result = TOO_LARGE
        elif self.result == 0:
            self.end_fields(data)
            self.result = frame_response(self, request_method)
        return self.result

    # --- first lines ---

    cdef inline void measure(self, const char* data, uint32_t size) noexcept nogil:
        self.clear()
        self.size = size
        self.fields_end = size - 2 if data[size - 2] == CR else size - 1

    cdef inline int bad(self, const char* fault) noexcept nogil:
        self.fault = fault
        return BAD

    cdef inline uint32_t behind_line(self, const char* data, uint32_t at) noexcept nogil:
        """Where the next line begins if one ends at `at`; 0: none does."""
        if data[at] == CR and data[at + 1] == LF:
            return at + 2
        if data[at] == LF and self.lenient:
            self.bare_lf = True
            return at + 1
        return 0

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
        """HTTP/1.x or HTTP/0.x, the latter and HTTP/1.0 as minor 0, what is higher as 1 (RFC 9110 2.5); False: anything
        else."""
        self.minor = 1 if text[5] == c"1" and text[7] != c"0" else 0
        return memcmp(text, b"HTTP/", 5) == 0 and text[6] == c"." and is_a(text[7], DIGIT) and (
            text[5] == c"1" or text[5] == c"0")

    cdef inline int status_line(self, const char* data, uint32_t start) noexcept nogil:
        """Blanks of any number stand between its parts (RFC 9112 4); the line that goes on is ours."""
        cdef uint32_t at, end
        if self.size - start < SHORTEST_STATUS_LINE or data[start + 5] != c"1" or not self.read_version(data + start):
            return self.bad(b"version")
        at = skip_blanks(data, start + 8)
        if at == start + 8:
            return self.bad(b"version")
        if data[at] < c"1" or data[at] > c"9" or not is_a(data[at + 1], DIGIT) or not is_a(data[at + 2], DIGIT):
            return self.bad(b"status")
        self.status = (data[at] - c"0") * 100 + (data[at + 1] - c"0") * 10 + (data[at + 2] - c"0")
        at += 3
        end = skip(data, at, VALUE) if is_blank(data[at]) else at
        self.fields_at = self.behind_line(data, end)
        if self.fields_at == 0:
            return self.bad(b"reason")
        at = skip_blanks(data, at)
        self.reason = span_of(at, trim(data, at, end) - at)
        return 0

    # --- fields ---

    cdef inline int read_fields(self, char* data) noexcept nogil:
        cdef uint32_t at = self.fields_at
        cdef int result
        while at != self.fields_end:
            result = self.read_field(data, &at)
            if result != 0:
                return result
        self.end_fields(data)
        return 0

    cdef inline int read_field(self, char* data, uint32_t* at) noexcept nogil:
        """The line at `at`, which is behind it afterwards, as soon as it is known to be one."""
        cdef Field* field = self.fields + self.count
        cdef uint32_t start = at[0], colon, end, behind
        if self.count == self.most_fields:
            return TOO_MANY_FIELDS
        colon = self.read_name(data, start)
        if colon == start:
            return self.bad(b"field name")
        field.name = start
        field.name_length = colon - start
        field.kind = kind_of(data + start, field.name_length)
        field.value = skip_blanks(data, colon + 1)
        end = skip_value(data, field.value, self.size)
        behind = self.behind_line(data, end)
        if self.lenient and 0 < behind < self.fields_end and is_blank(data[behind]):
            behind = self.unfold(data, field, &end)
        if behind == 0:
            return self.bad(b"field value")
        field.value_length = trim(data, field.value, end) - field.value
        field.line_end = at[0] = behind
        self.count += 1
        return 0 if field.kind == OTHER else self.note(data, field.kind, span_of(field.value, field.value_length))

    cdef inline void end_fields(self, const char* data) noexcept nogil:
        if self.nominates:
            nominate_all(self, data)
        self.upgrade = self.upgrade and self.upgrade_to.length > 0

    cdef inline uint32_t read_name(self, char* data, uint32_t at) noexcept nogil:
        """The colon's place behind the name at `at`; `at` itself: no name. Blanks before the colon, which a proxy must
        take out of a response (RFC 9112 5.1), change places with it."""
        cdef uint32_t end = skip(data, at, TOKEN)
        cdef uint32_t colon
        if data[end] == c":":
            return end
        colon = skip_blanks(data, end)
        if not self.lenient or data[colon] != c":":
            return at
        data[colon] = SP
        data[end] = c":"
        self.close = True       # whoever writes so may think otherwise of what frames a message
        return end

    cdef uint32_t unfold(self, char* data, Field* field, uint32_t* end) noexcept nogil:
        """Makes one line of a folded one: blanks take the places of its line ends (RFC 9112 5.2). Its new end is in
        `end`, the result is where the next line begins, 0 if that is no field value, or one that frames the message."""
        cdef uint32_t next_line = self.behind_line(data, end[0])
        if field.kind == CONTENT_LENGTH or field.kind == TRANSFER_ENCODING:
            return 0
        while next_line and is_blank(data[next_line]):
            memset(data + end[0], SP, next_line - end[0])
            end[0] = skip_value(data, next_line, self.size)
            next_line = self.behind_line(data, end[0])
        field.value = skip_blanks(data, field.value)
        return next_line

    cdef int note(self, const char* data, int kind, Span value) noexcept nogil:
        """Remember what a field says to a proxy. Of those that do no harm twice, the first counts."""
        if kind == HOST:
            self.hosts += 1
            self.host = value
        elif kind == CONTENT_LENGTH:
            return read_content_length(self, data, value)
        elif kind == TRANSFER_ENCODING:
            return read_transfer_encoding(self, data, value)
        elif kind == CONNECTION:
            return read_connection(self, data, value)
        elif kind == TE:
            read_te(self, data, value)
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
        elif kind == UPGRADE and absent(self.upgrade_to):
            self.upgrade_to = value
