# How a message is framed; rules in framing.pyx.
from proxy.wire.http.head cimport Head, Span

cdef int read_content_length(Head head, const char* data, Span value) noexcept nogil
cdef int read_transfer_encoding(Head head, const char* data, Span value) noexcept nogil
cdef int frame_request(Head head) noexcept nogil
cdef int frame_response(Head head, int request_method) noexcept nogil
