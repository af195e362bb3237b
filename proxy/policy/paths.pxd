# C types for paths.py, which is compiled as it stands.
cimport cython

cdef int SLASH, DOT, BACKSLASH, PERCENT, QUESTION, HASH

@cython.locals(at=cython.int)
cdef bint is_normal(const unsigned char* path, int length) noexcept nogil
@cython.locals(at=cython.int)
cdef bint is_dots(const unsigned char* path, int length, int begin) noexcept nogil
@cython.locals(high=cython.int, low=cython.int, octet=cython.int)
cdef bint stands_for_itself(const unsigned char* path, int length, int at) noexcept nogil
cdef int digit(int octet) noexcept nogil
