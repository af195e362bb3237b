"""Follows a body to its end: how many of the bytes at hand are its own, and what to pass on for them.

Rules of RFC 9112, 6 and 7. Chunked framing that is written as we would write it is passed on as it came, once checked,
so that such a body costs no copy. Anything else is framed anew: sizes with zeros or blanks around them, extensions
(7.1.1), trailers, of which some are left out (trailers.pyx), and what a read has cut. So whoever is behind us sees one
form only. In a response LF alone ends a line too, blanks may stand behind a size, and trailers may be folded: none of
that can be understood in two ways. In a request it is refused.

Works octet by octet where it must, so any split of the input comes to the same. Bytes may have been passed on when a
later one turns out malformed: the exchange then breaks the connection. May not touch a socket, or keep a pointer into
the bytes.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free

from proxy.wire.http.head cimport BAD, CHUNKED, LENGTH, MAX_FIELDS, MAX_HEAD, NO_BODY, UNTIL_CLOSE
from proxy.wire.http.octets cimport CR, HEX, LF, TARGET, TOKEN, VALUE, is_a, is_blank
from proxy.wire.http.trailers cimport append, grpc_status_in, write_trailers

cdef enum:
    SIZE_DIGITS = 15            # a size that fits an int64 whatever its digits are
    PREFIX = 5                  # octets before a gRPC message
    MAX_LINE = 1024             # a size line with its extensions
    COPIED = 4096               # data of less goes along with framing of ours
    SPARE = 16384               # of memory, kept for the next body

cdef enum State:                # what the next octet is
    SIZE_FIRST, SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF,
    LINE_START, NAME, COLON, FIELD_VALUE, LINE_LF, END_LF,
    BLANK, EXTENSION, QUOTED, ESCAPED


cdef inline int hex_digit(uint8_t octet) noexcept nogil:
    return octet - c"0" if octet <= c"9" else (octet | 0x20) - c"a" + 10


@cython.final
cdef class Body:
    """One body; `start` makes it the next one. `lenient`: of a response."""

    def __cinit__(self, bint lenient=False):
        self.lenient = lenient

    def __dealloc__(self):
        free(self.own.at)
        free(self.trailers.at)

    cdef void start(self, int framing, int64_t content_length) noexcept nogil:
        """`content_length` counts only with LENGTH."""
        self.framing = framing
        self.remaining = content_length if framing == LENGTH else 0
        self.data_bytes = 0
        self.done = framing == NO_BODY or framing == LENGTH and content_length <= 0
        self.fault = NULL
        self.state = SIZE_FIRST
        self.line = self.digits = self.fields = self.trailer_bytes = 0
        self.messages = self.message_left = self.prefix = 0
        self.grpc_status = -1
        if self.own.room:
            spare(&self.own)
            spare(&self.trailers)

    cdef Py_ssize_t take(self, const char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil:
        """Consume up to `length` bytes: how many; BAD: malformed. The first `forward` bytes at `out` are to be passed
        on for them; they stay until the next call, and as long as data does.

        0 only if there is nothing to consume. May stop early, so call again with the rest until `done`.
        """
        cdef Py_ssize_t at
        self.out = data
        forward[0] = 0
        if self.done or length <= 0:
            return 0
        if self.framing == CHUNKED:
            at = self.as_it_came(data, length)
            if at < length and not self.done and at <= COPIED:
                return self.anew(data, at, length, forward)
            forward[0] = at
            return at
        forward[0] = min(length, self.remaining) if self.framing == LENGTH else length
        self.data_bytes += forward[0]
        if self.of_messages:
            self.count_messages(<const uint8_t*>data, forward[0])
        if self.framing == LENGTH:
            self.remaining -= forward[0]
            self.done = self.remaining == 0
        return forward[0]

    cdef void end(self, int grpc_status) noexcept nogil:
        """The last of its PIECES has been taken; what its trailers say of gRPC, -1: nothing."""
        self.done = True
        if self.of_messages:
            self.grpc_status = grpc_status

    cdef int64_t unread(self) noexcept nogil:
        """How many of the bytes that come next are data that nobody need look at: no more than those may be taken
        without being there (`take` of NULL), for they pass by."""
        if self.done or self.of_messages:
            return 0
        if self.framing == UNTIL_CLOSE:
            return INT64_MAX
        return self.remaining if self.framing == LENGTH or self.state == DATA else 0

    cdef Py_ssize_t unframe(
            self, const char* data, Py_ssize_t length, Py_ssize_t* piece, Py_ssize_t* size) noexcept nogil:
        """Consume as far as one piece of the body itself, which is data[piece:piece + size], as far as the trailers
        begin, or to an end without them: how many bytes; BAD: malformed. For those who frame it in another way; not after `take`."""
        cdef Py_ssize_t at = 0, line
        piece[0] = size[0] = 0
        if self.framing != CHUNKED:
            return self.take(data, length, size)
        while at < length and not self.done and self.state != BAD:
            if self.state == DATA:
                piece[0] = at
                size[0] = self.take_data(data + at, length - at)
                return at + size[0]
            line = self.take_line(data + at, length - at) if self.state == SIZE_FIRST else 0
            if line:
                at += line
                continue
            self.state = self.step(data[at])
            at += 1
            if self.state == LINE_START and self.trailer_bytes == 0:
                break
        return at if self.state != BAD else BAD

    cdef bint in_trailers(self) noexcept nogil:
        """Whether the data is over: what follows are the lines of the trailers, and an empty one."""
        return LINE_START <= self.state < BLANK

    # --- as it came ---

    cdef Py_ssize_t as_it_came(self, const char* data, Py_ssize_t length) noexcept nogil:
        """How many bytes are data, and whole lines of framing as we would write them."""
        cdef Py_ssize_t at = 0, line
        while at < length and not self.done:
            if self.state == DATA:
                at += self.take_data(data + at, length - at)
            elif self.state == DATA_CR and length - at >= 2 and data[at] == CR and data[at + 1] == LF:
                self.state = SIZE_FIRST
                at += 2
            elif self.state == SIZE_FIRST:
                line = self.take_line(data + at, length - at)
                if line == 0:
                    break
                at += line
            else:
                break
        return at

    cdef Py_ssize_t take_line(self, const char* data, Py_ssize_t length) noexcept nogil:
        """The line of a size, without zeros before it, or the whole end of a body without trailers: how long it is; 0:
        it is something else, or not all here."""
        cdef Py_ssize_t at = 0
        cdef uint64_t size = 0                          # of one digit too many, too, which is not used
        while at < length and at <= SIZE_DIGITS and is_a(data[at], HEX):
            size = size * 16 + hex_digit(data[at])
            at += 1
        if at == 0 or at > SIZE_DIGITS or length < at + 2 or data[at] != CR or data[at + 1] != LF:
            return 0
        if data[0] != c"0":
            self.remaining = <int64_t>size
            self.state = DATA
            return at + 2
        if at > 1 or length < 5 or data[3] != CR or data[4] != LF:
            return 0
        self.done = True
        return 5

    cdef inline Py_ssize_t take_data(self, const char* data, Py_ssize_t length) noexcept nogil:
        cdef Py_ssize_t taken = min(length, self.remaining)
        self.data_bytes += taken
        if self.of_messages:
            self.count_messages(<const uint8_t*>data, taken)
        self.remaining -= taken
        if self.remaining == 0:
            self.state = DATA_CR
        return taken

    cdef void count_messages(self, const uint8_t* data, Py_ssize_t length) noexcept nogil:
        """Each is a flag, four octets that say how long it is, and so many of its own (gRPC's PROTOCOL-HTTP2)."""
        cdef Py_ssize_t at = 0, skipped
        while at < length:
            if self.message_left:
                skipped = min(length - at, self.message_left)
                self.message_left -= skipped
                at += skipped
                continue
            self.length_so_far = self.length_so_far << 8 | data[at] if self.prefix else 0
            self.prefix += 1
            at += 1
            if self.prefix == PREFIX:
                self.prefix = 0
                self.messages += 1
                self.message_left = self.length_so_far

    # --- framed anew ---

    cdef Py_ssize_t anew(
            self, const char* data, Py_ssize_t at, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil:
        """As `take`, of which data[:at] has gone by already: all goes on in `own`, as far as there is no large piece of
        data, which goes as it came with the next call."""
        cdef Py_ssize_t size
        cdef int before
        self.own.length = 0
        self.add(&self.own, data, at)
        while at < length and not self.done and self.state != BAD:
            if self.state == DATA:
                size = min(length - at, self.remaining)
                if size > COPIED:
                    break
                self.add(&self.own, data + at, size)
                at += self.take_data(data + at, size)
                continue
            size = self.take_text(data + at, length - at)
            if size:
                self.add(&self.trailers, data + at, size)
                at += size
            else:
                before = self.state
                self.state = self.step(data[at])
                self.frame(before, data[at])
                at += 1
        if self.state == BAD:
            return BAD
        self.out = self.own.at
        forward[0] = self.own.length
        return at

    cdef inline Py_ssize_t take_text(self, const char* data, Py_ssize_t length) noexcept nogil:
        """How many octets at hand are no more than the rest of a trailer's name, or of its value."""
        cdef int kind = TOKEN if self.state == NAME else VALUE if self.state == FIELD_VALUE else 0
        cdef Py_ssize_t at = 0
        length = min(length, MAX_HEAD - self.trailer_bytes)
        while at < length and is_a(data[at], kind):
            at += 1
        self.trailer_bytes += at
        return at

    cdef inline void frame(self, int before, char octet) noexcept nogil:
        """Our framing for what an octet has brought to its end, if anything."""
        cdef char line[24]
        if LINE_START <= before < BLANK:
            self.add(&self.trailers, &octet, 1)
            if self.done:
                if self.of_messages:
                    self.grpc_status = grpc_status_in(&self.trailers)
                self.add(&self.own, b"0\r\n", 3)
                if not self.bare and not write_trailers(&self.own, &self.trailers):
                    self.state = self.bad(b"no memory")
                self.add(&self.own, b"\r\n", 2)
        elif self.state == DATA:
            self.add(&self.own, line, snprintf(line, sizeof(line), b"%llx\r\n", <long long>self.remaining))
        elif self.state == SIZE_FIRST:
            self.add(&self.own, b"\r\n", 2)
        elif self.state == LINE_START:
            self.trailers.length = 0

    cdef inline void add(self, Text* text, const char* data, Py_ssize_t length) noexcept nogil:
        if not append(text, data, length):
            self.state = self.bad(b"no memory")

    # --- the grammar ---

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
        elif self.state == SIZE_LF:
            return self.sized() if octet == LF else self.bad(b"chunk size without CRLF")
        elif self.state == DATA_CR and octet == CR:
            return DATA_LF
        elif self.state == DATA_CR or self.state == DATA_LF:
            if octet == LF and (self.state == DATA_LF or self.lenient):
                return SIZE_FIRST
            return self.bad(b"chunk without CRLF")
        self.trailer_bytes += 1
        if self.trailer_bytes > MAX_HEAD:
            return self.bad(b"trailers too large")
        return self.trailer(octet)

    cdef int size(self, uint8_t octet) noexcept nogil:
        if is_a(octet, HEX):
            if self.digits or octet != c"0":        # zeros before a size are no overflow
                self.digits += 1
                if self.digits > SIZE_DIGITS:
                    return self.bad(b"chunk size too long")
            self.remaining = self.remaining * 16 + hex_digit(octet)
            return SIZE
        if self.state == SIZE_FIRST:
            return self.bad(b"chunk size")
        if octet == CR:
            return SIZE_LF
        if octet == LF and self.lenient:
            return self.sized()
        return EXTENSION if octet == c";" else BLANK if is_blank(octet) else self.bad(b"chunk size")

    cdef inline int sized(self) noexcept nogil:
        self.line = self.digits = 0
        return DATA if self.remaining > 0 else LINE_START

    cdef int extension(self, uint8_t octet) noexcept nogil:
        if self.state == BLANK:
            if self.lenient and (octet == CR or octet == LF):
                return SIZE_LF if octet == CR else self.sized()
            return EXTENSION if octet == c";" else BLANK if is_blank(octet) else self.bad(b"chunk size")
        if octet == CR and self.state == EXTENSION:
            return SIZE_LF
        if not (is_a(octet, TARGET) or is_blank(octet) or octet == c"#"):
            return self.bad(b"chunk extension")
        if self.state == ESCAPED:
            return QUOTED
        if octet == c'"':
            return QUOTED if self.state == EXTENSION else EXTENSION
        return ESCAPED if octet == c"\\" and self.state == QUOTED else self.state

    cdef int trailer(self, uint8_t octet) noexcept nogil:
        if self.state == NAME or self.state == COLON:
            return self.trailer_name(octet)
        elif self.state == FIELD_VALUE:
            if octet == LF and self.lenient:
                return LINE_START
            return FIELD_VALUE if is_a(octet, VALUE) else LINE_LF if octet == CR else self.bad(b"trailer value")
        elif self.state == LINE_START:
            return self.trailer_start(octet)
        elif octet != LF:
            return self.bad(b"trailer without CRLF")
        self.done = self.state == END_LF
        return LINE_START

    cdef int trailer_start(self, uint8_t octet) noexcept nogil:
        if octet == CR:
            return END_LF
        if octet == LF and self.lenient:
            self.done = True
            return LINE_START
        if is_blank(octet) and self.lenient and self.fields > 0:
            return FIELD_VALUE
        self.fields += 1
        if self.fields > MAX_FIELDS:
            return self.bad(b"too many trailers")
        return NAME if is_a(octet, TOKEN) else self.bad(b"trailer name")

    cdef int trailer_name(self, uint8_t octet) noexcept nogil:
        if octet == c":":
            return FIELD_VALUE
        if is_blank(octet) and self.lenient:
            return COLON
        return NAME if self.state == NAME and is_a(octet, TOKEN) else self.bad(b"trailer name")


cdef inline void spare(Text* text) noexcept nogil:
    """Gives back what was a large one."""
    text.length = 0
    if text.room > SPARE:
        free(text.at)
        text.at = NULL
        text.room = 0
