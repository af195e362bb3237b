# Memory for bytes in transit; theory in buffers.pyx.

cdef enum:
    SMALL = 16384               # a buffer as it starts
    LARGE = 131072              # as far as those for heads and bulk grow

cdef struct Buffer:             # `bytes[start:end]` is what is in it; NULL: nothing
    char* bytes
    Py_ssize_t start, end, capacity

cdef void give_back_freed() noexcept
cdef char* more_room(char* old, Py_ssize_t used, Py_ssize_t* capacity, Py_ssize_t wanted) except NULL
cdef void free_buffer(char* buffer, Py_ssize_t capacity) noexcept
cdef int reserve(Buffer* buffer, Py_ssize_t wanted) except -1
cdef void drop(Buffer* buffer) noexcept
