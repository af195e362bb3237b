# Which fields may come behind a body, and how they go on; rules in trailers.pyx.
from libc.stdint cimport uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

cdef struct Text:               # bytes that grow
    char* at
    Py_ssize_t length, room

cdef inline bint append(Text* text, const char* data, Py_ssize_t length) noexcept nogil:
    """False: there is no memory."""
    cdef Py_ssize_t room = text.room if text.room else 256
    cdef char* grown
    if length == 0:             # perhaps of nothing: there may be no bytes yet on either side
        return True
    if text.length + length > text.room:
        while room < text.length + length:
            room *= 2
        grown = <char*>realloc(text.at, room)
        if grown == NULL:
            return False
        text.at, text.room = grown, room
    memcpy(text.at + text.length, data, length)
    text.length += length
    return True

cdef bint forbidden(const char* name, uint32_t length) noexcept nogil
cdef int grpc_status_in(Text* lines) noexcept nogil
cdef bint write_trailers(Text* out, Text* lines) noexcept nogil
