from libc.stdint cimport int64_t

from proxy.wire.stream cimport Deadlines, Stream

cdef int run_pipe(
    Stream client, Stream endpoint, Deadlines idle, int64_t* received, int64_t* sent, int64_t* received_now,
    int64_t* sent_now) except -1
