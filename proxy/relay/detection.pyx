"""What a client speaks, on a port that does not say: HTTP, or anything else (Istio's protocol detection)."""

from libc.string cimport memchr, memcmp

from proxy.wire.http.octets cimport TOKEN, is_a
from proxy.wire.http2.preface cimport PREFACE_HEAD, begins_preface

cdef enum:
    MAX_METHOD = 32
    MAX_LINE = 8192             # a request line that is longer is no request line


cdef bint sniff_http(Stream client, Deadlines timeout) except? -1:
    """Whether the client begins to speak HTTP/1.1 or HTTP/2. One that is silent for too long waits for the server to
    speak first, which no HTTP client does."""
    cdef int looks = -1
    cdef Py_ssize_t got
    client.arm(timeout)
    while looks < 0:
        got = client.fill()
        if got <= 0:
            looks = 0
        else:
            looks = looks_like_http(client.buffer + client.start, client.end - client.start)
    client.disarm()
    return looks


cdef int looks_like_http(const char* data, Py_ssize_t length) noexcept:
    """1: these bytes begin an HTTP/1.1 request or an HTTP/2 connection; 0: they do not; -1: there must be more."""
    cdef const char* line_end = <const char*>memchr(data, c"\n", length)
    cdef Py_ssize_t at = 0
    if begins_preface(data, length):
        return 1 if length >= PREFACE_HEAD else -1
    while at < length and at < MAX_METHOD and is_a(data[at], TOKEN):
        at += 1
    if at < length and (at == 0 or data[at] != c" "):
        return 0
    if line_end == NULL:
        return -1 if length < MAX_LINE else 0
    length = line_end - data
    return length > 12 and memcmp(line_end - 10, b" HTTP/1.1\r", 10) == 0
