"""Memory for bytes in transit. Buffers come and go with every burst of data: those of the two common sizes are kept for
the next one, so that the allocator, and the kernel behind it, see little of that.

OpenSSL takes and returns 17 KiB for every record. Left to itself, the C library gives the end of the heap back to the
kernel each time and has it zeroed again, page by page, which costs a fifth of what a large body costs (`keep_freed`).
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

cdef extern from "malloc.h" nogil:
    int M_TRIM_THRESHOLD
    int M_MMAP_THRESHOLD
    int mallopt(int, int)
    int malloc_trim(size_t)

cdef enum:
    KEPT = 4194304              # freed memory that the process keeps at the end of its heap
    SPARE_SMALL = 256
    SPARE_LARGE = 32

cdef char* small[SPARE_SMALL]
cdef char* large[SPARE_LARGE]
cdef int small_count = 0
cdef int large_count = 0


def keep_freed() -> None:
    """Has this process keep a few MiB of what it frees, and take blocks of less from its heap only."""
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_MMAP_THRESHOLD, KEPT)


cdef void give_back_freed() noexcept:
    """Gives the system what many have freed at once, but for as much as is kept anyway."""
    malloc_trim(KEPT)


cdef char* new_buffer(Py_ssize_t capacity) except NULL:
    global small_count, large_count
    cdef char* buffer
    if capacity == SMALL and small_count:
        small_count -= 1
        return small[small_count]
    if capacity == LARGE and large_count:
        large_count -= 1
        return large[large_count]
    buffer = <char*>malloc(capacity)
    if buffer == NULL:
        raise MemoryError
    return buffer


cdef void free_buffer(char* buffer, Py_ssize_t capacity) noexcept:
    global small_count, large_count
    if capacity == SMALL and buffer != NULL and small_count < SPARE_SMALL:
        small[small_count] = buffer
        small_count += 1
    elif capacity == LARGE and buffer != NULL and large_count < SPARE_LARGE:
        large[large_count] = buffer
        large_count += 1
    else:
        free(buffer)


cdef char* more_room(char* old, Py_ssize_t used, Py_ssize_t* capacity, Py_ssize_t wanted) except NULL:
    """`old` with its first `used` bytes, or a larger one in its place, with `wanted` more bytes behind them."""
    cdef Py_ssize_t size = capacity[0] if capacity[0] else SMALL
    cdef char* grown
    while size - used < wanted:
        size = LARGE if size < LARGE else 2 * size
    if size == capacity[0]:
        return old
    grown = new_buffer(size)
    if used:
        memcpy(grown, old, used)
    free_buffer(old, capacity[0])
    capacity[0] = size
    return grown


cdef int reserve(Buffer* buffer, Py_ssize_t wanted) except -1:
    """At least `wanted` free bytes behind `end`, by moving and then growing."""
    if buffer.start == buffer.end:
        buffer.start = buffer.end = 0
    if buffer.capacity - buffer.end >= wanted:
        return 0
    if buffer.start:
        memmove(buffer.bytes, buffer.bytes + buffer.start, buffer.end - buffer.start)
        buffer.end -= buffer.start
        buffer.start = 0
    buffer.bytes = more_room(buffer.bytes, buffer.end, &buffer.capacity, wanted)
    return 0


cdef void drop(Buffer* buffer) noexcept:
    """Empties the buffer and gives its memory back."""
    free_buffer(buffer.bytes, buffer.capacity)
    buffer.bytes = NULL
    buffer.start = buffer.end = buffer.capacity = 0
