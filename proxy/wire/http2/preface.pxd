# How an HTTP/2 connection of a client begins (RFC 9113 3.4): its first 18 bytes read like a request head of HTTP/1.1.
from libc.string cimport memcmp

cdef enum:
    PREFACE_HEAD = 18

cdef inline bint is_preface(const char* data, Py_ssize_t length) noexcept nogil:
    """Whether these bytes, a head as far as an HTTP/1.1 parser can tell, are HTTP/2's preface."""
    return length == PREFACE_HEAD and begins_preface(data, length)


cdef inline bint begins_preface(const char* data, Py_ssize_t length) noexcept nogil:
    """Whether the preface begins with these bytes, or they with it."""
    return memcmp(data, b"PRI * HTTP/2.0\r\n\r\n", min(length, <Py_ssize_t>PREFACE_HEAD)) == 0
