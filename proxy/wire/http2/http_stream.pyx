# distutils: libraries = nghttp2
"""HTTP/2 request streams as HTTP/1.1 connections that carry one message (RFC 9113 8, RFC 9112).

So that everything in the middle knows one protocol. The head of what the peer sends is laid out as text, as nghttp2 tells
its fields, and read into a Head at the same time (wire/http/head.pyx), so that nobody reads that text again; a head that
is put comes as such a table too (fields.pyx). A body without content-length, or with trailers to be expected (gRPC, or
the request had `te: trailers`), is read in chunks; chunked framing is taken off what is put. A response in chunks may
have its content-length besides, which HTTP/1.1 would forbid: head.both_framings has it read, and http1.pyx lets it go on
to HTTP/2 only. Trailers behind a request's body that is read as it came, by its length, are no part of that text: they
are kept beside it (`behind`), for whoever can send them on. server.pyx and client.pyx have the two sides.

nghttp2 has checked what the peer sends (8.1.1, 8.2, 8.3) before it comes here; still nothing is written as a line that
could be two. May not decide what becomes of a message: what a head of HTTP/1.1 would be refused for is in `head.result`.
A head is always put whole, in one call; bodies may be split anywhere.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove

from proxy.wire.http.head cimport MAX_HEAD, Head
from proxy.wire.http.heads cimport give_back
from proxy.wire.http.octets cimport skip_value
from proxy.wire.http.trailers cimport forbidden
from proxy.wire.http2.fields cimport add_lines, fields
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.stream cimport FAILED, RAISED

cdef enum:
    LINE = 4                    # ": " and CRLF

cdef const char* HEX = b"0123456789abcdef"


cdef class HttpStream(Http2Stream):
    """What both sides share."""

    def __cinit__(self):
        self.http2 = True
        self.head_due = True
        self.outward = Body()

    def __dealloc__(self):
        free(self.tail)
        free(self.behind)

    # -- from the peer ------------------------------------------------------------------------------------------------

    cdef int head_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        raise NotImplementedError

    cdef char* text_room(self, Py_ssize_t length) except NULL:
        """Where the next `length` bytes of text go."""
        return self.place(length, 0) if self.inward != IN_BEHIND else self.behind_room(length)

    cdef char* behind_room(self, Py_ssize_t length) except NULL:
        cdef char* grown = <char*>realloc(self.behind, self.behind_length + length)
        if grown == NULL:
            raise MemoryError
        self.behind = grown
        self.behind_length += length
        return grown + self.behind_length - length

    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        if self.closed or self.malformed or self.text_bytes > MAX_HEAD:     # enough for a parser to find it too large
            return 0
        if self.inward == IN_HEAD:
            return self.head_field(name, name_length, value, value_length)
        if self.inward == IN_CHUNKS or self.inward == IN_BYTES and self.session.server:
            self.inward = IN_TRAILERS if self.inward == IN_CHUNKS else IN_BEHIND
            self.add_text(b"0\r\n", 3)
        if (self.inward == IN_TRAILERS or self.inward == IN_BEHIND) and not forbidden(name, name_length):
            return self.add_line(name, name_length, value, value_length)
        return 0

    cdef int add_text(self, const char* text, Py_ssize_t length) except -1:
        memcpy(self.text_room(length), text, length)
        return 0

    cdef int add_line(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        """One field line, of the head if that is still to come; `malformed` if it would not be one line."""
        cdef Py_ssize_t length = name_length + value_length + LINE
        cdef char* at = self.text_room(length)
        self.text_bytes += length
        memcpy(at, name, name_length)
        memcpy(at + name_length, b": ", 2)
        memcpy(at + name_length + 2, value, value_length)
        memcpy(at + length - 2, b"\r\n", 2)
        if self.inward == IN_HEAD and self.head is not None:
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
            inward = IN_BYTES if self.has_length and not self.trailers_wanted else IN_CHUNKS
        if inward == IN_CHUNKS:
            self.add_line(b"transfer-encoding", 17, b"chunked", 7)
        if self.length_digits and (inward != IN_CHUNKS or self.both_framings):
            self.add_line(b"content-length", 14, self.length, self.length_digits)
        self.add_text(b"\r\n", 2)
        self.text_bytes = 0
        self.inward = inward
        return 0

    cdef int on_data(self, const char* data, size_t length) except -1:
        if self.inward == IN_BYTES:
            return self.receive(data, length)
        if self.inward != IN_CHUNKS or self.closed or length == 0:
            return self.session.credit(self, length)
        if 0 < self.chunk and chunk_size(self.chunk) <= self.inbox.end - self.inbox.start:
            return self.extend_chunk(data, length)
        self.chunk = length
        write_chunk(self.place(chunk_size(length), length), data, 0, length)
        return 0

    cdef int extend_chunk(self, const char* data, Py_ssize_t length) except -1:
        """The last chunk still waits whole in the inbox: it grows. Else a peer that sends byte by byte would have us
        keep a multiple of its window in framing."""
        cdef Py_ssize_t size = chunk_size(self.chunk + length)
        cdef Py_ssize_t more = size - chunk_size(self.chunk)
        cdef char* old
        cdef char* grown
        self.place(more, length)
        grown = self.inbox.bytes + self.inbox.end - size
        old = grown + digits(self.chunk) + 2
        memmove(grown + digits(self.chunk + length) + 2, old, self.chunk)
        write_chunk(grown, data, self.chunk, length)
        self.chunk += length
        return 0

    cdef int on_end(self) except -1:
        if not self.closed:
            if self.inward == IN_CHUNKS:
                self.add_text(b"0\r\n\r\n", 5)
            elif self.inward == IN_TRAILERS or self.inward == IN_BEHIND:
                self.add_text(b"\r\n", 2)
        self.inward = IN_NOTHING
        return Http2Stream.on_end(self)

    # -- to the peer --------------------------------------------------------------------------------------------------

    cdef Py_ssize_t put_head(self, const char* text, Py_ssize_t length) except? RAISED:
        """Submits the head that the text begins with, which we have written: its size, or FAILED."""
        return FAILED

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
        while used < length and not self.outward.done and left[0] == 0:
            trailers = self.outward.in_trailers()
            n = self.outward.unframe(text + used, length - used, &at, left)
            if n < 0:
                return FAILED
            if trailers:
                self.keep_tail(text + used, n)
            piece[0] = text + used + at
            used += n
        if self.outward.done and not self.open_ended:
            self.end_wanted = True
        return used

    cdef int keep_tail(self, const char* text, Py_ssize_t length) except -1:
        cdef char* grown = <char*>realloc(self.tail, self.tail_length + length)
        if grown == NULL:
            raise MemoryError
        memcpy(grown + self.tail_length, text, length)
        self.tail = grown
        self.tail_length += length
        return 0

    cdef int send(self) except? RAISED:
        """Until the pieces are in frames, and the end if it is wanted: 0, FAILED or TIMED_OUT."""
        cdef int result = self.send_pieces()
        if result == 0 and (self.first_left or self.second_left or self.end_wanted and not self.end_sent):
            return self.wait_sent() if self.live else FAILED
        return result

    cdef bint on_finish(self) except -1:
        cdef size_t count
        if self.writer is not None and not self.first_left and not self.second_left:
            self.wake_writer(0)
        if self.tail_length <= 2:
            return False
        count = add_lines(0, self.tail, self.tail_length)
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


cdef inline int digits(Py_ssize_t number) noexcept:
    """In hexadecimal."""
    cdef int count = 1
    while number >= 16:
        number >>= 4
        count += 1
    return count


cdef inline Py_ssize_t chunk_size(Py_ssize_t length) noexcept:
    """How long a chunk of so much data is."""
    return digits(length) + length + 4


cdef void write_chunk(char* at, const char* data, Py_ssize_t there, Py_ssize_t length) noexcept:
    """A chunk, of which the first `there` bytes of data are in their place."""
    cdef int count = digits(there + length)
    cdef int index
    for index in range(count):
        at[index] = HEX[((there + length) >> 4 * (count - 1 - index)) & 15]
    memcpy(at + count, b"\r\n", 2)
    memcpy(at + count + 2 + there, data, length)
    memcpy(at + count + 2 + there + length, b"\r\n", 2)
