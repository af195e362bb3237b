# C types for round_robin.py, which is compiled as it stands.
cimport cython
from proxy.policy.facts cimport View

cdef int round_robin(int last, const View* view) noexcept nogil

@cython.locals(position=cython.int, _=cython.int)
cdef int from_turn(int turn, const View* view) noexcept nogil
