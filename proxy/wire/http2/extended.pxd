# Extended CONNECT; theory in extended.pyx.
cdef bint is_for_http1(const char* name, size_t length) noexcept
cdef size_t extend_fields(size_t count) noexcept
