"""Locks between processes: robust mutexes in shared memory. Whoever takes one whose holder was killed makes it whole
again; what the holder left half done is the caller's to bear. Whoever has waited in vain for a holder does not wait for
the same one again until the lock has been free: it is stopped, and waiting would only stop the others too."""

from libc.stdint cimport int32_t
from posix.time cimport CLOCK_MONOTONIC, timespec
from posix.unistd cimport getpid

from proxy.clock cimport monotonic_ns
from proxy.scoreboard.atomics cimport wp_load, wp_store

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


cdef int lock_within(pthread_mutex_t* mutex, int32_t* holder, int32_t* given_up, int64_t patience_ns) except -1:
    """Takes it, unless its holder does not give it back for so long. `holder`, beside the lock, is who has it;
    `given_up`, this process's own, whom it has waited for in vain."""
    cdef timespec until
    cdef int64_t at
    cdef int failed = pthread_mutex_trylock(mutex)
    if failed == EBUSY and given_up[0] and given_up[0] == named(holder):
        return HELD_BY_ANOTHER
    if failed == EBUSY:
        at = monotonic_ns() + patience_ns
        until.tv_sec, until.tv_nsec = at // 1_000_000_000, at % 1_000_000_000
        failed = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until)
    if failed == ETIMEDOUT:
        given_up[0] = named(holder)
        return HELD_BY_ANOTHER
    taken(mutex, failed)
    given_up[0] = 0
    wp_store(holder, getpid())
    return INHERITED if failed == EOWNERDEAD else TAKEN


cdef inline int32_t named(int32_t* holder) noexcept:
    """Who has it; -1 if it has been stopped before it could say so."""
    cdef int32_t pid = wp_load(holder)
    return pid if pid else -1


cdef void unlock(pthread_mutex_t* mutex, int32_t* holder) noexcept:
    wp_store(holder, 0)
    pthread_mutex_unlock(mutex)


cdef int taken(pthread_mutex_t* mutex, int failed) except -1:
    """What became of an attempt to take a lock; its holder may have died."""
    if failed == EOWNERDEAD:
        pthread_mutex_consistent(mutex)
    elif failed:
        raise OSError(failed, "scoreboard lock")
    return 0
