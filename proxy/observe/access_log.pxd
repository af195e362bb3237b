# The access log's sink and line; theory in access_log.pyx.
from libc.stdint cimport int64_t

cdef struct Text:                  # a piece of somebody's buffer; length 0: absent, logged as "-"
    const char* at
    Py_ssize_t length

cdef struct Entry:
    int64_t started                # wall clock, ns
    Text method, path
    Text protocol
    int status
    Text flags, details, transport_failure
    int64_t bytes_received, bytes_sent, duration_ms
    int64_t service_ms             # -1: no endpoint answered
    Text forwarded_for, user_agent, request_id, host, authority
    Text endpoint, cluster, endpoint_local, local, peer
    Text identity                  # the client's, by its certificate
    Text failed_attempts           # "refused@10.10.0.16:8080,..."
    Text shadow                    # what policies say that are not in force; absent: nothing
    Text route                     # the rule's name; absent: "default"
    bint raw                       # no request: a tunnel's or a connection's bytes

cdef class AccessLog:
    cdef int fd
    cdef int kind
    cdef bint json, scheduled
    cdef readonly object path
    cdef char* buffer
    cdef Py_ssize_t used
    cdef readonly int64_t dropped
    cdef int64_t stamp_second
    cdef char stamp[32]
    cdef object flush_callback

    cdef int add(self, Entry* entry) except -1
    cdef int append(self, const char* line, Py_ssize_t length) except -1
    cdef int reserve(self) except -1
    cdef ssize_t write_some(self, const char* data, Py_ssize_t length) noexcept
    cdef char* put_time(self, char* out, int64_t wall_ns) noexcept
    cdef char* text_line(self, char* out, Entry* e) noexcept
    cdef char* json_line(self, char* out, Entry* e) noexcept
