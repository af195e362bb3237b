# The memory itself; see memory.pyx.
from libc.stdint cimport int32_t, int64_t

from proxy.scoreboard.layout cimport (
    Bucket, ClusterRow, Count, Counters, EndpointRow, Header, Holding, SeriesRow, Tally, WorkerRow,
)

cdef class Memory:
    cdef int fd
    cdef int64_t told_ns         # what time it is; 0: ask the kernel
    cdef Header* header
    cdef WorkerRow* worker_rows
    cdef ClusterRow* cluster_rows
    cdef EndpointRow* endpoint_rows
    cdef int32_t* shares         # [worker][endpoint] attempts in flight
    cdef Counters* counters      # [worker][cluster]
    cdef Holding* holdings       # [worker][cluster]
    cdef SeriesRow* series_rows
    cdef Tally* tallies          # [worker][series]
    cdef Bucket* rule_buckets
    cdef Bucket* key_buckets
    cdef Count* counts           # [worker][row]

    cdef WorkerRow* worker(self, int slot) except NULL
    cdef ClusterRow* cluster(self, int slot) except NULL
    cdef EndpointRow* endpoint(self, int slot) except NULL
    cdef int32_t* share_of(self, int worker, int endpoint) noexcept
    cdef Counters* counters_of(self, int worker, int cluster) noexcept
    cdef Holding* holding_of(self, int worker, int cluster) noexcept
    cdef Tally* tally_of(self, int worker, int series) noexcept
    cdef Count* count_of(self, int worker, int at) noexcept
    cdef int64_t now(self) noexcept nogil

cdef int copy_text(char* target, size_t room, str text) except -1
