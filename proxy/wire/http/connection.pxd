# Connection and TE; rules in connection.pyx.
from proxy.wire.http.head cimport Head, Span

cdef int read_connection(Head head, const char* data, Span value) noexcept nogil
cdef void read_te(Head head, const char* data, Span value) noexcept nogil
cdef void nominate_all(Head head, const char* data) noexcept nogil
