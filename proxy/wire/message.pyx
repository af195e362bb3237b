"""A body's way from one stream to another, whichever protocol each of them speaks.

In HTTP/1.1 a body is text: what it is and where it ends stands in it, and goes on as text (http/body.pyx). One of HTTP/2
without a length to go by comes in pieces: data alone, which ends with its stream, and trailers as a table of fields. To
HTTP/2 they go as they came; for HTTP/1.1 each becomes a chunk where it lies, since the buffer has room BEHIND it, and the
trailers, which were laid out as text for that (http2/http_stream.pyx), stand behind the last one.
"""

from libc.string cimport memcpy

from proxy.wire.http.head cimport BAD, PIECES
from proxy.wire.http.http1 cimport write_chunk_size
from proxy.wire.spliced cimport put_next
from proxy.wire.stream cimport END

cdef enum:
    LINE = 32                   # what write_chunk_size writes at most


cdef int framing_of(Stream source, Head head) noexcept:
    """How the body comes that belongs to a head of this stream."""
    return PIECES if source.in_pieces else head.framing


cdef Py_ssize_t take(Body body, Stream source, Py_ssize_t past, Py_ssize_t* forward) except? RAISED:
    """As Body.take, of what is in the source's buffer, or of `past` bytes that pass it by."""
    cdef Py_ssize_t length, used
    cdef const char* text
    cdef Head trailers
    used = body.take(source.buffer + source.start, past or source.end - source.start, forward)
    if body.framing == PIECES and not body.done and source.at_end():
        trailers = source.trailers(&text, &length)
        if trailers is not None and trailers.result < 0:
            return BAD
        body.end(-1 if trailers is None else trailers.grpc_status)
    return used


cdef bint goes_on(Body body, Py_ssize_t got) noexcept:
    """Whether there is more to take of it, after a fill that brought `got`: the end of pieces is."""
    return got > 0 or got == END and body.framing == PIECES


cdef int put_first(
        Stream source, Stream target, Body body, char* head, Py_ssize_t head_length, const char* data,
        Py_ssize_t length) except? RAISED:
    """As put_two, to HTTP/1.1, of a head, which has room for LINE more, and what was taken of the body."""
    if body.framing == PIECES:
        return put_chunk(source, target, body, head, head_length, <char*>data, length)
    return target.put_two(head, head_length, data, length)


cdef int put_more(
        Stream source, Stream target, Body body, const char* data, Py_ssize_t length, int64_t following) except? RAISED:
    """As put_next, of what was taken of the body, after its head."""
    cdef char[LINE] line
    if body.framing != PIECES:
        return put_next(source, target, data, length, following)
    if length == 0 and not body.done:
        return 0
    if target.http2:
        return target.put_piece(data, length, source if body.done else None)
    return put_chunk(source, target, body, line, 0, <char*>data, length)


cdef int put_chunk(
        Stream source, Stream target, Body body, char* head, Py_ssize_t head_length, char* data,
        Py_ssize_t length) except? RAISED:
    """A piece as a chunk, behind a head if there is one, and with the end of the body if that has come."""
    cdef Py_ssize_t tail_length = 0
    cdef const char* tail = NULL
    cdef Head trailers = source.trailers(&tail, &tail_length) if body.done else None
    cdef int result
    if length:
        head_length += write_chunk_size(head + head_length, length, True)
        memcpy(data + length, b"\r\n", 2)
        length += 2
    if body.done and trailers is None:
        if length:
            memcpy(data + length, b"0\r\n\r\n", 5)
            length += 5
        else:
            head_length += write_chunk_size(head + head_length, 0, True)
    result = target.put_two(head, head_length, data, length)
    return result if result or trailers is None else target.put(tail, tail_length)
