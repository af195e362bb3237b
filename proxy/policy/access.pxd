# C types for access.py, which is compiled as it stands.
cimport cython

from proxy.policy.facts cimport Access, Asked, Line

cdef int ALLOWED, DENIED_BY_NONE, OF_DESTINATION, OF_HEADER, OF_HOST, OF_PORT, OF_SOURCE
cdef int TEXT_ENDS, TEXT_HAS, TEXT_IS, TEXT_IS_THERE, TEXT_LIKE, TEXT_STARTS, TEXTS
cdef int SLASH, STAR, OPENING, UPPER_A, UPPER_Z, TO_LOWER, ADDRESS, OF_V4, MEMO

@cython.locals(at=cython.int)
cdef int decide(const Access* access, const Asked* asked, int* memo) noexcept nogil
@cython.locals(at=cython.int, first=cython.int)
cdef bint rule_matches(const Access* access, int rule, const Asked* asked, int* memo) noexcept nogil
@cython.locals(at=cython.int, first=cython.int)
cdef bint clause_matches(const Access* access, int clause, const Asked* asked, int* memo) noexcept nogil
@cython.locals(at=cython.int, first=cython.int)
cdef bint alternative_matches(const Access* access, int alternative, const Asked* asked, int* memo) noexcept nogil
@cython.locals(mark=cython.int, place=cython.int)
cdef bint known(const Access* access, int term, const Asked* asked, int* memo) noexcept nogil
@cython.locals(at=cython.int, first=cython.int)
cdef bint has_one(const Access* access, int term, const Asked* asked) noexcept nogil
@cython.locals(fact=cython.int)
cdef bint has_value(const Access* access, int value, const Asked* asked) noexcept nogil
@cython.locals(at=cython.int)
cdef bint in_lines(const Access* access, int value, const Line* lines, int count) noexcept nogil
@cython.locals(at=cython.int, bits=cython.int, more=cython.int, kept=cython.int, known=cython.bint)
cdef bint in_block(const Access* access, int value, const unsigned char* address) noexcept nogil
@cython.locals(at=cython.int)
cdef bint is_v4(const unsigned char* address) noexcept nogil
@cython.locals(op=cython.int, size=cython.int)
cdef bint text_matches(const Access* access, int value, const unsigned char* text, int length, bint folded) noexcept nogil
@cython.locals(at=cython.int, octet=cython.int)
cdef bint equal(const Access* access, int value, const unsigned char* text, int begin, bint folded) noexcept nogil
@cython.locals(size=cython.int, at=cython.int, place=cython.int, star=cython.int, resume=cython.int)
cdef bint like(const Access* access, int value, const unsigned char* text, int length) noexcept nogil
@cython.locals(size=cython.int, at=cython.int, place=cython.int, begin=cython.int)
cdef bint follows(const Access* access, int value, const unsigned char* text, int length) noexcept nogil
