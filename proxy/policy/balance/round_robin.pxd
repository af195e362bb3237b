# C types for balance.py, which is compiled as it stands.
cimport cython

@cython.locals(start=cython.int, position=cython.int)
cpdef int round_robin(int last, const unsigned char* eligible, int count) noexcept
