# Locks between processes; theory in mutex.pyx.
from libc.stdint cimport int32_t, int64_t

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef int init_mutex(pthread_mutex_t* mutex) except -1
cdef enum:
    HELD_BY_ANOTHER, TAKEN, INHERITED    # the last: whoever had it was killed

cdef int lock_within(pthread_mutex_t* mutex, int32_t* holder, int32_t* given_up, int64_t patience_ns) except -1
cdef void unlock(pthread_mutex_t* mutex, int32_t* holder) noexcept
