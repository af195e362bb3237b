"""Follows a body to its end: how many of the bytes at hand are its own, and which of them to pass on.

Rules of RFC 9112, 6 and 7. Chunked framing is passed on as it came, once checked, so that a body costs no copy and no
new framing; only chunk extensions are taken out (7.1.1), with the blanks around them. Trailers may not hold what
frames, routes or authenticates a message (RFC 9110 6.5.1). Works octet by octet where it must, so any split of the
input gives the same result. Bytes may have been passed on when a later one turns out malformed: the exchange then
breaks the connection. May not touch a socket, allocate, or keep a pointer into the bytes.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memmove

from proxy.wire.http.head cimport (
    BAD,
    CHUNKED,
    DATE,
    GRPC_STATUS,
    LENGTH,
    MAX_FIELDS,
    MAX_HEAD,
    NO_BODY,
    OTHER,
    SERVER,
    UNTIL_CLOSE,
    USER_AGENT,
)
from proxy.wire.http.names cimport kind_of
from proxy.wire.http.octets cimport CR, HEX, LF, TARGET, TOKEN, VALUE, is_a, is_blank, same

cdef enum:
    SIZE_DIGITS = 15            # a size that fits an int64 whatever its digits are
    MAX_LINE = 1024             # a size line with its extensions

cdef enum State:                # what the next octet is
    SIZE_FIRST, SIZE, SIZE_CR, SIZE_LF, DATA, DATA_CR, DATA_LF,
    LINE_START, NAME, FIELD_VALUE, LINE_LF, END_LF,
    BLANK, EXTENSION, QUOTED, ESCAPED       # from here on not passed on


cdef inline int hex_digit(uint8_t octet) noexcept nogil:
    return octet - c"0" if octet <= c"9" else (octet | 0x20) - c"a" + 10


cdef bint is_one_of(const char* name, uint32_t length, const char* words) noexcept nogil:
    """Whether a lower-case name is among words that are separated, and ended, by single blanks."""
    cdef uint32_t at = 0
    while words[0] != 0:
        at = 0
        while words[at] != c" ":
            at += 1
        if at == length and same(name, words, length):
            return True
        words += at + 1
    return False


cdef bint forbidden(const char* name, uint32_t length) noexcept nogil:
    """Whether a field may not come as a trailer: it frames, routes, controls or authenticates, or is ours to set."""
    cdef int kind = kind_of(name, length)
    if kind == GRPC_STATUS or length == 12 and same(name, b"grpc-message", 12):     # the most frequent ones
        return False
    if kind != OTHER and kind != DATE and kind != SERVER and kind != USER_AGENT:
        return True
    return (length > 12 and same(name, b"x-forwarded-", 12) or is_one_of(
        name, length,
        b"trailer forwarded authorization proxy-authorization proxy-authenticate www-authenticate cookie set-cookie "
        b"content-encoding content-range max-forwards cache-control range if-match if-none-match "))


@cython.final
cdef class Body:
    """One body; `start` makes it the next one."""

    cdef void start(self, int framing, int64_t content_length) noexcept nogil:
        """`content_length` counts only with LENGTH."""
        self.framing = framing
        self.remaining = content_length if framing == LENGTH else 0
        self.data_bytes = 0
        self.done = framing == NO_BODY or framing == LENGTH and content_length <= 0
        self.fault = NULL
        self.state = SIZE_FIRST
        self.line = self.fields = self.trailer_bytes = self.name_length = 0

    cdef Py_ssize_t take(self, const char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil:
        """Consume up to `length` bytes: how many, of which the first `forward` are to be passed on; BAD: malformed.

        0 only if there is nothing to consume. May stop early, so call again with the rest until `done`.
        """
        forward[0] = 0
        if self.done or length <= 0:
            return 0
        if self.framing == CHUNKED:
            return self.take_chunked(data, length, forward)
        forward[0] = length if self.framing == UNTIL_CLOSE else min(length, self.remaining)
        self.data_bytes += forward[0]
        if self.framing == LENGTH:
            self.remaining -= forward[0]
            self.done = self.remaining == 0
        return forward[0]

    cdef Py_ssize_t gather(self, char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil:
        """As `take`, but as far as the bytes or the body reach: what is passed on is moved together, over what is not,
        so that a body of many small chunks with extensions does not cost a write for each."""
        cdef Py_ssize_t used = self.take(data, length, forward)
        cdef Py_ssize_t kept = forward[0]
        cdef Py_ssize_t more, piece = 0
        while 0 < used < length and not self.done:
            more = self.take(data + used, length - used, &piece)
            if more < 0:
                return BAD
            memmove(data + kept, data + used, piece)
            kept += piece
            used += more
        forward[0] = kept
        return used

    cdef Py_ssize_t unframe(
            self, const char* data, Py_ssize_t length, Py_ssize_t* piece, Py_ssize_t* size) noexcept nogil:
        """Consume as far as one piece of the body itself, which is data[piece:piece + size], or as far as the trailers
        begin: how many bytes; BAD: malformed. For those who frame it in another way; not after `take`."""
        cdef Py_ssize_t at = 0
        piece[0] = size[0] = 0
        if self.framing != CHUNKED:
            return self.take(data, length, size)
        while at < length and not self.done and self.state != BAD:
            if self.state == DATA:
                piece[0] = at
                size[0] = self.take_data(length - at)
                return at + size[0]
            self.state = self.step(data[at])
            at += 1
            if self.state == LINE_START and self.trailer_bytes == 0:
                break
        return at if self.state != BAD else BAD

    cdef bint in_trailers(self) noexcept nogil:
        """Whether the data is over: what follows are the lines of the trailers, and an empty one."""
        return LINE_START <= self.state < BLANK

    cdef Py_ssize_t take_chunked(self, const char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil:
        cdef Py_ssize_t at = 0
        if self.state >= BLANK:         # an extension that the last call did not see the end of
            at = self.drop(data, 0, length)
            if at > 0:
                return at if self.state != BAD else BAD
        while at < length and not self.done and self.state != BAD and self.state < BLANK:
            if self.state == DATA:
                at += self.take_data(length - at)
            else:
                self.state = self.step(data[at])
                at += 1
        forward[0] = at
        if self.state >= BLANK:
            forward[0] = at - 1
            at = self.drop(data, at, length)
        return at if self.state != BAD else BAD

    cdef inline Py_ssize_t take_data(self, Py_ssize_t length) noexcept nogil:
        cdef Py_ssize_t taken = min(length, self.remaining)
        self.data_bytes += taken
        self.remaining -= taken
        if self.remaining == 0:
            self.state = DATA_CR
        return taken

    cdef Py_ssize_t drop(self, const char* data, Py_ssize_t at, Py_ssize_t length) noexcept nogil:
        """Go over what is not passed on, as far as the CR that ends it, which is left for the next call."""
        while at < length and self.state >= BLANK:
            if data[at] == CR and self.state == EXTENSION:
                self.state = SIZE_CR
                break
            self.state = self.step(data[at])
            at += 1
        return at

    cdef inline int bad(self, const char* fault) noexcept nogil:
        self.fault = fault
        return BAD

    cdef int step(self, uint8_t octet) noexcept nogil:
        """The state after one octet of framing."""
        if self.state <= SIZE or self.state >= BLANK:
            self.line += 1
            if self.line > MAX_LINE:
                return self.bad(b"chunk line too long")
            return self.size(octet) if self.state <= SIZE else self.extension(octet)
        elif self.state == SIZE_CR or self.state == DATA_CR:
            return self.state + 1 if octet == CR else self.bad(b"chunk without CRLF")
        elif self.state == SIZE_LF:
            return (DATA if self.remaining > 0 else LINE_START) if octet == LF else self.bad(b"chunk size without CRLF")
        elif self.state == DATA_LF:
            self.line = 0
            return SIZE_FIRST if octet == LF else self.bad(b"chunk without CRLF")
        self.trailer_bytes += 1
        if self.trailer_bytes > MAX_HEAD:
            return self.bad(b"trailers too large")
        return self.trailer(octet)

    cdef int size(self, uint8_t octet) noexcept nogil:
        if is_a(octet, HEX):
            if self.line > SIZE_DIGITS:
                return self.bad(b"chunk size too long")
            self.remaining = self.remaining * 16 + hex_digit(octet)
            return SIZE
        if self.state == SIZE_FIRST:
            return self.bad(b"chunk size")
        if octet == CR:
            return SIZE_LF
        return EXTENSION if octet == c";" else BLANK if is_blank(octet) else self.bad(b"chunk size")

    cdef int extension(self, uint8_t octet) noexcept nogil:
        if self.state == BLANK:
            return EXTENSION if octet == c";" else BLANK if is_blank(octet) else self.bad(b"chunk size")
        if not (is_a(octet, TARGET) or is_blank(octet) or octet == c"#"):
            return self.bad(b"chunk extension")
        if self.state == ESCAPED:
            return QUOTED
        if octet == c'"':
            return QUOTED if self.state == EXTENSION else EXTENSION
        return ESCAPED if octet == c"\\" and self.state == QUOTED else self.state

    cdef int trailer(self, uint8_t octet) noexcept nogil:
        if self.state == NAME:
            return self.trailer_name(octet)
        elif self.state == FIELD_VALUE:
            return FIELD_VALUE if is_a(octet, VALUE) else LINE_LF if octet == CR else self.bad(b"trailer value")
        elif self.state == LINE_START:
            if octet == CR:
                return END_LF
            self.fields += 1
            self.name_length = 0
            return self.trailer_name(octet) if self.fields <= MAX_FIELDS else self.bad(b"too many trailers")
        elif octet != LF:
            return self.bad(b"trailer without CRLF")
        self.done = self.state == END_LF
        return LINE_START

    cdef int trailer_name(self, uint8_t octet) noexcept nogil:
        if octet == c":" and self.name_length > 0:
            return self.bad(b"not allowed in trailers") if forbidden(self.name, self.name_length) else FIELD_VALUE
        if not is_a(octet, TOKEN):
            return self.bad(b"trailer name")
        if self.name_length < TRAILER_NAME_KEPT:
            self.name[self.name_length] = octet | 0x20 if c"A" <= octet <= c"Z" else octet
            self.name_length += 1
        return NAME
