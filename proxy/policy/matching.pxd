# C types for matching.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport uint32_t

from proxy.policy.facts cimport Line, Presented, Routing, Walk

cdef int ABOUT_CLAIM, ABOUT_HEADER, ABOUT_PATH, ABOUT_QUERY, WHOLE_QUERY
cdef int FEW_MATCHES, MOST_RANGES
cdef uint32_t HASH_BEGIN, HASH_BITS, HASH_PRIME
cdef int COMPARE_IS, COMPARE_IS_THERE, COMPARE_LIKE, COMPARE_SEGMENTS
cdef int SLASH, AMPERSAND, EQUALS, UPPER_A, UPPER_Z, TO_LOWER

@cython.locals(at=cython.int, key=uint32_t)
cdef void begin(const Routing* routing, const Presented* asked, Walk* walk) noexcept nogil
cdef uint32_t hashed(uint32_t key, unsigned char octet) noexcept nogil
@cython.locals(at=uint32_t)
cdef void enter(const Routing* routing, Walk* walk, uint32_t key) noexcept nogil
@cython.locals(at=cython.int)
cdef int candidate(const Routing* routing, const Presented* asked, Walk* walk) noexcept nogil
@cython.locals(best=cython.int, each=cython.int)
cdef int following(const Routing* routing, Walk* walk) noexcept nogil
@cython.locals(early=cython.int)
cdef bint rest_holds(const Routing* routing, const Presented* asked, int match) noexcept nogil
@cython.locals(at=cython.int)
cdef bint hold(const Routing* routing, const Presented* asked, int first, int count) noexcept nogil
@cython.locals(about=cython.int, begin=cython.int, length=cython.int)
cdef bint met(const Routing* routing, const Presented* asked, int condition) noexcept nogil
@cython.locals(at=cython.int, header=cython.int, there=cython.bint)
cdef bint met_by_line(const Routing* routing, int condition, const Line* lines, int count) noexcept nogil
cdef bint met_by_nothing(const Routing* routing, int condition) noexcept nogil
@cython.locals(compare=cython.int, size=cython.int)
cdef bint fits(const Routing* routing, int condition, const unsigned char* text, int begin, int length) noexcept nogil
@cython.locals(at=cython.int, octet=cython.int, fold=cython.bint)
cdef bint equal(const Routing* routing, int condition, const unsigned char* text, int begin) noexcept nogil
@cython.locals(size=cython.int, at=cython.int, same=cython.int)
cdef int parameter(const Routing* routing, int condition, const unsigned char* query, int length) noexcept nogil
@cython.locals(at=cython.int)
cdef int end_of(const unsigned char* query, int begin, int length) noexcept nogil
