# How fields that several processes write are read and written.
from libc.stdint cimport int32_t, int64_t, uint32_t

cdef extern from * nogil:
    """
    #define wp_add(where, n) __atomic_add_fetch((where), (n), __ATOMIC_RELAXED)
    #define wp_load(where) __atomic_load_n((where), __ATOMIC_ACQUIRE)
    #define wp_move(where) __atomic_add_fetch((where), 1, __ATOMIC_RELEASE)
    #define wp_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define wp_store(where, value) __atomic_store_n((where), (value), __ATOMIC_RELEASE)
    static inline int wp_swap(int32_t *where, int32_t expected, int32_t wanted) {
        return __atomic_compare_exchange_n(where, &expected, wanted, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    static inline int wp_swap64(int64_t *where, int64_t expected, int64_t wanted) {
        return __atomic_compare_exchange_n(where, &expected, wanted, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    """
    int32_t wp_add(int32_t* where, int32_t n)
    int64_t wp_add64 "wp_add"(int64_t* where, int64_t n)
    void wp_fence()                          # what was written before is seen before what is read after it is read
    int32_t wp_load(int32_t* where)
    uint32_t wp_loadu "wp_load"(uint32_t* where)
    int64_t wp_load64 "wp_load"(int64_t* where)
    uint32_t wp_move(uint32_t* where)        # a version: whoever sees it moved on sees what was written before
    void wp_store(int32_t* where, int32_t value)
    void wp_storeu "wp_store"(uint32_t* where, uint32_t value)
    void wp_store64 "wp_store"(int64_t* where, int64_t value)
    bint wp_swap(int32_t* where, int32_t expected, int32_t wanted)
    bint wp_swap64(int64_t* where, int64_t expected, int64_t wanted)
