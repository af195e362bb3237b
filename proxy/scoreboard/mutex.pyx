"""Locks between processes: robust mutexes in shared memory. Whoever takes one whose holder was killed makes it whole
again; what the holder left half done is the caller's to bear."""

from posix.time cimport CLOCK_MONOTONIC, timespec

from proxy.clock cimport monotonic_ns

cdef extern from "errno.h":
    int EBUSY
    int EOWNERDEAD
    int ETIMEDOUT

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutexattr_t:
        pass
    int PTHREAD_PROCESS_SHARED
    int PTHREAD_MUTEX_ROBUST
    int pthread_mutexattr_init(pthread_mutexattr_t*)
    int pthread_mutexattr_destroy(pthread_mutexattr_t*)
    int pthread_mutexattr_setpshared(pthread_mutexattr_t*, int)
    int pthread_mutexattr_setrobust(pthread_mutexattr_t*, int)
    int pthread_mutex_init(pthread_mutex_t*, const pthread_mutexattr_t*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_trylock(pthread_mutex_t*)
    int pthread_mutex_clocklock(pthread_mutex_t*, int, const timespec*)
    int pthread_mutex_unlock(pthread_mutex_t*)
    int pthread_mutex_consistent(pthread_mutex_t*)


cdef int init_mutex(pthread_mutex_t* mutex) except -1:
    """Makes a mutex, free, where there was none or nobody uses it any more."""
    cdef pthread_mutexattr_t attributes
    cdef int failed
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED)
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST)
    failed = pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
    if failed:
        raise OSError(failed, "cannot make a process-shared lock")
    return 0


cdef int lock(pthread_mutex_t* mutex) except -1:
    """Takes it, however long that takes."""
    return taken(mutex, pthread_mutex_lock(mutex))


cdef int lock_within(pthread_mutex_t* mutex, int64_t patience_ns) except -1:
    """Takes it, unless its holder does not give it back for so long."""
    cdef timespec until
    cdef int64_t at
    cdef int failed = pthread_mutex_trylock(mutex)
    if failed == EBUSY:
        at = monotonic_ns() + patience_ns
        until.tv_sec, until.tv_nsec = at // 1_000_000_000, at % 1_000_000_000
        failed = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until)
    if failed == ETIMEDOUT:
        return HELD_BY_ANOTHER
    taken(mutex, failed)
    return INHERITED if failed == EOWNERDEAD else TAKEN


cdef void unlock(pthread_mutex_t* mutex) noexcept:
    pthread_mutex_unlock(mutex)


cdef int taken(pthread_mutex_t* mutex, int failed) except -1:
    """What became of an attempt to take a lock; its holder may have died."""
    if failed == EOWNERDEAD:
        pthread_mutex_consistent(mutex)
    elif failed:
        raise OSError(failed, "scoreboard lock")
    return 0
