# C types for round_robin.py, which is compiled as it stands.
cimport cython
from proxy.policy.facts cimport View

@cython.locals(turn=cython.int, position=cython.int, _=cython.int)
cdef int round_robin(int last, const View* view) noexcept nogil
