# What a request is for; rules in target.pyx.
from proxy.wire.http.head cimport Head

cdef int place_target(Head head, char* data) noexcept nogil
