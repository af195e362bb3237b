# Heads that nobody uses now; theory in heads.pyx.
from proxy.wire.http.head cimport Head

cdef Head new_head(bint lenient)
cdef int give_back(Head head) except -1
