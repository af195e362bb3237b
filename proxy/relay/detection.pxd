# What a client speaks; theory in detection.pyx.
from proxy.wire.stream cimport Deadlines, Stream

cdef bint sniff_http(Stream client, Deadlines timeout) except? -1
cdef int looks_like_http(const char* data, Py_ssize_t length) noexcept
