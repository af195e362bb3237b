# C types for paths.py, which is compiled as it stands.
cimport cython

cdef int SLASH, DOT, BACKSLASH, PERCENT, QUESTION, HASH, SEMICOLON, KEPT, AMBIGUOUS
cdef int PATHS_KEPT, PATHS_NORMAL, SLASHES_DECODED

@cython.locals(end=cython.int, at=cython.int, out=cython.int, segment=cython.int, octet=cython.int, size=cython.int)
cdef int normalise(unsigned char* path, int length, int mode) noexcept nogil
@cython.locals(at=cython.int)
cdef int end_of_path(const unsigned char* path, int length) noexcept nogil
@cython.locals(dots=cython.int)
cdef int behind_segment(unsigned char* path, int segment, int out, bint slash) noexcept nogil
@cython.locals(at=cython.int)
cdef int parent(const unsigned char* path, int segment) noexcept nogil
@cython.locals(at=cython.int, out=cython.int)
cdef int merged(unsigned char* path, int end) noexcept nogil
@cython.locals(octet=cython.int)
cdef int decoded(const unsigned char* path, int at, int end, int out, int mode) noexcept nogil
@cython.locals(high=cython.int, low=cython.int)
cdef int escaped(const unsigned char* path, int at, int end) noexcept nogil
cdef bint makes_escape(const unsigned char* path, int out) noexcept nogil
cdef bint overlong(int octet, int following) noexcept nogil
cdef bint unreserved(int octet) noexcept nogil
cdef int digit(int octet) noexcept nogil
