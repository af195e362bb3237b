# distutils: libraries = nghttp2
"""HTTP/2 request streams as connections that carry one message (RFC 9113 8).

The head of what the peer sends is laid out as text, as nghttp2 tells its fields, and read into a Head at the same time
(wire/http/head.pyx), so that nobody reads that text again; a head that is put comes as such a table too (fields.pyx). So
do trailers, through the same checks. A body that goes by its content-length is what it is in HTTP/1.1. One without, or
with trailers to be expected (gRPC, or the request had `te: trailers`), comes in pieces, which end with the stream
(wire/message.pyx); its head says chunked, as it would be in HTTP/1.1, and a response's may have its content-length
besides, which HTTP/1.1 would forbid: head.both_framings has it read, and http1.pyx lets it go on to HTTP/2 only.

What is put are pieces, or, of a message that came in HTTP/1.1 or is our own, text: chunked framing is taken off that.
Text may be split anywhere, but a head is always put whole, in one call.

nghttp2 has checked what the peer sends (8.1.1, 8.2, 8.3) before it comes here; still nothing is written as a line that
could be two. May not decide what becomes of a message: what a head of HTTP/1.1 would be refused for is in `head.result`.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy

from proxy.wire.buffers cimport drop, reserve
from proxy.wire.http.head cimport BAD, LENGTH, MAX_HEAD, NO_BODY, PIECES, TOO_LARGE, Head
from proxy.wire.http.heads cimport give_back, new_head
from proxy.wire.http.octets cimport skip_value
from proxy.wire.http.trailers cimport forbidden
from proxy.wire.http2.fields cimport add_lines, fields, trailer_fields
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.stream cimport FAILED, RAISED

cdef enum:
    LINE = 4                    # ": " and CRLF


cdef class HttpStream(Http2Stream):
    """What both sides share."""

    def __cinit__(self):
        self.http2 = True
        self.head_due = True

    def __dealloc__(self):
        free(self.last_lines)
        drop(&self.tail_text)
        if self.tail is not None:       # until now somebody may have been about to send them on
            give_back(self.tail)

    # -- from the peer ------------------------------------------------------------------------------------------------

    cdef int head_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        raise NotImplementedError

    cdef char* text_room(self, Py_ssize_t length) except NULL:
        """Where the next `length` bytes of a head go."""
        return self.place(length, 0)

    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        if self.closed or self.malformed or self.text_bytes > MAX_HEAD:     # enough to find it too large
            return 0
        if self.inward == IN_HEAD:
            return self.head_field(name, name_length, value, value_length)
        if self.inward == IN_PIECES or self.inward == IN_BYTES and self.session.server:
            self.begin_trailers()
        if self.inward == IN_TRAILERS and not forbidden(name, name_length):
            return self.add_trailer(name, name_length, value, value_length)
        return 0

    cdef int add_text(self, const char* text, Py_ssize_t length) except -1:
        memcpy(self.text_room(length), text, length)
        return 0

    cdef int add_line(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        """One field line of the head; `malformed` if it would not be one line."""
        cdef Py_ssize_t length = name_length + value_length + LINE
        cdef char* at = self.text_room(length)
        self.text_bytes += length
        lay_out(at, name, name_length, value, value_length)
        if self.head is not None:
            if not self.head.take_line(self.head_text, at - self.head_text, name_length, at - self.head_text + length):
                self.malformed = True
        elif skip_value(at, name_length + 2, length - 2) != length - 2:
            self.malformed = True
        return 0

    cdef int add_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        """A field of a head; content-length waits until it is known what becomes of it."""
        if name_length == 14 and memcmp(name, b"content-length", 14) == 0:
            self.has_length = True
            if value_length <= sizeof(self.length):
                memcpy(self.length, value, value_length)
                self.length_digits = value_length
                return 0
        elif name_length == 7 and memcmp(name, b"trailer", 7) == 0 or name_length == 12 and value_length >= 16 and \
                memcmp(name, b"content-type", 12) == 0 and memcmp(value, b"application/grpc", 16) == 0:
            self.trailers_wanted = True
        return self.add_line(name, name_length, value, value_length)

    cdef int end_head(self, bint last, bint bodiless) except -1:
        """The lines that say how the body is framed, and the empty one. `bodiless`: it has none, whatever is said."""
        cdef int inward = IN_NOTHING
        if not bodiless and not last:
            inward = IN_BYTES if self.has_length and not self.trailers_wanted else IN_PIECES
        if inward == IN_PIECES:
            self.add_line(b"transfer-encoding", 17, b"chunked", 7)
        if self.length_digits and (inward != IN_PIECES or self.both_framings):
            self.add_line(b"content-length", 14, self.length, self.length_digits)
        self.add_text(b"\r\n", 2)
        self.text_bytes = 0
        self.inward = inward
        self.in_pieces = inward == IN_PIECES
        return 0

    cdef int begin_trailers(self) except -1:
        """The table, and the last chunk that they are laid out in."""
        self.inward = IN_TRAILERS
        self.tail = new_head(not self.session.server)
        reserve(&self.tail_text, 3)
        memcpy(self.tail_text.bytes, b"0\r\n", 3)
        self.tail_text.end = 3
        return 0

    cdef int add_trailer(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        cdef Py_ssize_t length = name_length + value_length + LINE, at = self.tail_text.end
        reserve(&self.tail_text, length)
        self.tail_text.end += length
        self.text_bytes += length
        lay_out(self.tail_text.bytes + at, name, name_length, value, value_length)
        if not self.tail.take_line(self.tail_text.bytes, at, name_length, at + length) and self.tail.result == 0:
            self.tail.result = BAD
        return 0

    cdef int on_data(self, const char* data, size_t length) except -1:
        if self.inward == IN_BYTES or self.inward == IN_PIECES:
            return self.receive(data, length)
        return self.session.credit(self, length)

    cdef int on_end(self) except -1:
        if self.inward == IN_TRAILERS:
            reserve(&self.tail_text, 2)
            memcpy(self.tail_text.bytes + self.tail_text.end, b"\r\n", 2)
            self.tail_text.end += 2
            if self.text_bytes > MAX_HEAD:
                self.tail.result = TOO_LARGE
        self.inward = IN_NOTHING
        return Http2Stream.on_end(self)

    cdef bint at_end(self) noexcept:
        return self.eof and not self.broken and not self.closed and self.inbox.end == self.inbox.start

    cdef Head trailers(self, const char** text, Py_ssize_t* length):
        if self.bare:
            text[0], length[0] = NULL, 0
            return None
        text[0], length[0] = self.tail_text.bytes, self.tail_text.end
        return self.tail

    # -- to the peer --------------------------------------------------------------------------------------------------

    cdef Py_ssize_t put_head(self, const char* text, Py_ssize_t length) except? RAISED:
        """Submits the head that the text begins with, which we have written: its size, or FAILED."""
        return FAILED

    cdef bint begin_body(self, int framing, int64_t content_length) except -1:
        """How the body will be put. False: there is none."""
        if framing == NO_BODY or framing == LENGTH and content_length == 0:
            return False
        if framing != PIECES:
            self.outward = Body.__new__(Body)
            self.outward.start(framing, content_length)
        return True

    cdef int put_begun(self, const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED:
        """What there is of the body, behind a head."""
        return self.put_body(data, length) if giver is None else self.put_piece(data, length, giver if last else None)

    cdef int put_piece(self, const char* data, Py_ssize_t length, Stream ending) except? RAISED:
        cdef int result
        if not self.writable():
            return FAILED
        self.second, self.second_left = data, length
        if ending is not None:
            self.end_wanted, self.open_ended, self.ending = True, False, ending
        result = self.send()
        self.ending = None
        return result

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t used
        cdef bytes copy
        cdef int result = 0
        if self.piped:
            return Http2Stream.put_two(self, volatile_head, head_length, data, length)
        if not self.writable():
            return FAILED
        if self.head_due:
            used = self.put_head(volatile_head, head_length) if head_length else self.put_head(data, length)
            if used < 0:
                return FAILED
            if head_length:
                volatile_head += used
                head_length -= used
            else:
                data += used
                length -= used
            if self.head_due:       # that was a 1xx
                return self.send()
            if head_length + length == 0:
                return self.put_body(NULL, 0)
        if head_length:
            copy = volatile_head[:head_length]
            result = self.put_body(copy, head_length)
        return result if result or not length else self.put_body(data, length)

    cdef int put_body(self, const char* text, Py_ssize_t length) except? RAISED:
        """Sends the data in the text, two pieces of it at a time; the end too once it is there."""
        cdef Py_ssize_t used, more
        cdef int result
        while True:
            used = self.next_piece(text, length, &self.first, &self.first_left)
            more = 0
            if 0 < used < length:
                more = self.next_piece(text + used, length - used, &self.second, &self.second_left)
            if used < 0 or more < 0:
                self.first_left = self.second_left = 0
                return FAILED
            result = self.send()
            text += used + more
            length -= used + more
            if result or length <= 0 or self.end_wanted:
                return result

    cdef Py_ssize_t next_piece(
            self, const char* text, Py_ssize_t length, const char** piece, Py_ssize_t* left) except? RAISED:
        """Goes over the text as far as one piece of data, or to the end: how many bytes, or FAILED."""
        cdef Py_ssize_t used = 0, at, n
        cdef bint trailers
        left[0] = 0
        if self.outward is None:
            return length
        while used < length and not self.outward.done and left[0] == 0:
            trailers = self.outward.in_trailers()
            n = self.outward.unframe(text + used, length - used, &at, left)
            if n < 0:
                return FAILED
            if trailers:
                self.keep_last_lines(text + used, n)
            piece[0] = text + used + at
            used += n
        if self.outward.done and not self.open_ended:
            self.end_wanted = True
        return used

    cdef int keep_last_lines(self, const char* text, Py_ssize_t length) except -1:
        cdef char* grown = <char*>realloc(self.last_lines, self.last_length + length)
        if grown == NULL:
            raise MemoryError
        memcpy(grown + self.last_length, text, length)
        self.last_lines = grown
        self.last_length += length
        return 0

    cdef int send(self) except? RAISED:
        """Until the pieces are in frames, and the end if it is wanted: 0, FAILED or TIMED_OUT."""
        cdef int result = self.send_pieces()
        if result == 0 and (self.first_left or self.second_left or self.end_wanted and not self.end_sent):
            return self.wait_sent() if self.live else FAILED
        return result

    cdef bint on_finish(self) except -1:
        cdef size_t count = 0
        cdef Py_ssize_t length
        cdef const char* text
        cdef Head trailers
        if self.writer is not None and not self.first_left and not self.second_left:
            self.wake_writer(0)
        if self.ending is not None:
            trailers = self.ending.trailers(&text, &length)
            if trailers is not None:
                count = trailer_fields(text, trailers)
        elif self.last_length > 2:
            count = add_lines(0, self.last_lines, self.last_length)
        if count == 0:
            return False
        nghttp2_submit_trailer(self.session.h2, self.id, fields, count)
        return True

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef int finish(self) except? RAISED:
        """The message says itself where it ends."""
        return Http2Stream.finish(self) if self.piped else 0

    cdef int abort(self) except -1:
        if self.piped:
            self.reset(NGHTTP2_CANCEL)      # RFC 8441 5: as a reset of TCP
        return self.close()

    cdef int close(self) except -1:
        cdef Head head = self.head
        if head is not None:
            self.head = None
            give_back(head)
        return Http2Stream.close(self)


cdef inline void lay_out(
        char* at, const char* name, size_t name_length, const char* value, size_t value_length) noexcept:
    """A field as a line."""
    memcpy(at, name, name_length)
    memcpy(at + name_length, b": ", 2)
    memcpy(at + name_length + 2, value, value_length)
    memcpy(at + name_length + 2 + value_length, b"\r\n", 2)
