# C types for consistent_hash.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from proxy.policy.facts cimport View

cdef uint64_t MASK, HIGHEST, OFFSET, PRIME, FIRST, SECOND, GOLDEN, TOP, ONE, LOG_2
cdef int HALF, FRACTION, DRAWS, BLOCK, FREE

cdef uint64_t mixed(uint64_t number) noexcept nogil

@cython.locals(number=uint64_t, at=cython.Py_ssize_t)
cdef uint64_t hash_of(const unsigned char* octets, Py_ssize_t length) noexcept nogil

@cython.locals(best=cython.int, highest=uint64_t, turn=cython.int, draw=uint64_t)
cdef int rendezvous(uint64_t key, const uint64_t* seeds, const View* view) noexcept nogil

@cython.locals(best=cython.int, highest=uint64_t, turn=cython.int, draw=uint64_t)
cdef int untried_rendezvous(uint64_t key, const uint64_t* seeds, const View* view) noexcept nogil

@cython.locals(
    best=cython.int, least=uint64_t, weight_of_best=uint64_t, bound=uint64_t, turn=cython.int, position=cython.int,
    draw=uint64_t, cost=uint64_t, first=cython.int, last=cython.int, highest=uint64_t, step=cython.int)
cdef int weighted_rendezvous(
    uint64_t key, const uint64_t* seeds, const int32_t* order, const View* view) noexcept nogil

@cython.locals(highest=uint64_t, draw=uint64_t, turn=cython.int)
cdef uint64_t highest_of(uint64_t key, const uint64_t* seeds, int first, int last) noexcept nogil

@cython.locals(turn=cython.int)
cdef int turn_of(uint64_t number, uint64_t key, const uint64_t* seeds, int first) noexcept nogil

cdef uint64_t bound_of(uint64_t cost) noexcept nogil

@cython.locals(below=uint64_t, square=uint64_t)
cdef uint64_t minus_log(uint64_t draw) noexcept nogil

@cython.locals(below=uint64_t, part=uint64_t, _=cython.int)
cdef uint64_t bits_below(uint64_t draw) noexcept nogil

@cython.locals(heaviest=int64_t, position=cython.int, place=uint64_t, skip=uint64_t, taken=uint64_t)
cdef uint64_t fill(
    int32_t* table, uint64_t size, const uint64_t* seeds, uint64_t* places, int64_t* credits,
    const View* view) noexcept nogil

@cython.locals(position=cython.int, turn=cython.int, _=cython.int)
cdef int in_table(
    uint64_t key, const int32_t* table, uint64_t size, const unsigned char* here, const View* view) noexcept nogil
