"""The memory of the scoreboard: one memfd, mapped, and where its rows are. It stays mapped as long as the process
lives, so a pointer to a row is good for ever; whose row it is, the slot checks say."""

import os

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport strncpy
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap

from proxy.clock cimport monotonic_ns
from proxy.scoreboard.layout cimport CLUSTERS, COUNTS, ENDPOINTS, KEY_BUCKETS, RULE_BUCKETS, SERIES, WORKERS
from proxy.scoreboard.mutex cimport init_mutex

cdef extern from *:
    """
    #ifndef SCOREBOARD_LAYOUT
    #error "setup.py says which layout this is"
    #endif
    """
    const uint64_t SCOREBOARD_LAYOUT  # 32 bits, another number whenever layout.pxd is another

cdef uint64_t MAGIC = 0x77617970


cdef object another_version():
    return ValueError(
        "this scoreboard was made by another version of waypointd, which lays out its rows in another way: "
        "start the replica anew, all of its processes must be of one version"
    )


cdef class Memory:
    """Maps the memfd `fd`; a `fresh` one is laid out first, any other must have been by this version: ValueError."""

    def __cinit__(self, int fd, bint fresh):
        cdef size_t workers_at = aligned(sizeof(Header))
        cdef size_t clusters_at = workers_at + aligned(WORKERS * sizeof(WorkerRow))
        cdef size_t endpoints_at = clusters_at + aligned(CLUSTERS * sizeof(ClusterRow))
        cdef size_t shares_at = endpoints_at + aligned(ENDPOINTS * sizeof(EndpointRow))
        cdef size_t counters_at = shares_at + aligned(<size_t>WORKERS * ENDPOINTS * sizeof(int32_t))
        cdef size_t series_at = counters_at + aligned(<size_t>WORKERS * CLUSTERS * sizeof(Counters))
        cdef size_t tallies_at = series_at + aligned(SERIES * sizeof(SeriesRow))
        cdef size_t holdings_at = tallies_at + aligned(<size_t>WORKERS * SERIES * sizeof(Tally))
        cdef size_t rule_buckets_at = holdings_at + aligned(<size_t>WORKERS * CLUSTERS * sizeof(Holding))
        cdef size_t key_buckets_at = rule_buckets_at + aligned(RULE_BUCKETS * sizeof(Bucket))
        cdef size_t counts_at = key_buckets_at + aligned(KEY_BUCKETS * sizeof(Bucket))
        cdef size_t size = counts_at + aligned(<size_t>WORKERS * COUNTS * sizeof(Count))
        cdef void* mapped
        cdef char* start
        self.fd = fd
        if fresh:
            os.ftruncate(fd, size)
        elif os.fstat(fd).st_size != size:
            raise another_version()
        mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        if mapped == MAP_FAILED:
            raise MemoryError("cannot map the scoreboard")
        start = <char*>mapped
        self.header = <Header*>start
        self.worker_rows = <WorkerRow*>(start + workers_at)
        self.cluster_rows = <ClusterRow*>(start + clusters_at)
        self.endpoint_rows = <EndpointRow*>(start + endpoints_at)
        self.shares = <int32_t*>(start + shares_at)
        self.counters = <Counters*>(start + counters_at)
        self.series_rows = <SeriesRow*>(start + series_at)
        self.tallies = <Tally*>(start + tallies_at)
        self.holdings = <Holding*>(start + holdings_at)
        self.rule_buckets = <Bucket*>(start + rule_buckets_at)
        self.key_buckets = <Bucket*>(start + key_buckets_at)
        self.counts = <Count*>(start + counts_at)
        if fresh:
            init_mutex(&self.header.lock)
            init_mutex(&self.header.series_lock)
            self.header.magic = MAGIC << 32 | SCOREBOARD_LAYOUT
        elif self.header.magic >> 32 != MAGIC:
            raise ValueError("file descriptor %d is no scoreboard" % fd)
        elif self.header.magic & 0xffffffff != SCOREBOARD_LAYOUT:
            raise another_version()

    cdef int64_t now(self) noexcept nogil:
        """CLOCK_MONOTONIC, in nanoseconds, unless somebody else says what time it is (Scoreboard.tell_time)."""
        return self.told_ns or monotonic_ns()

    cdef WorkerRow* worker(self, int slot) except NULL:
        if not 0 <= slot < WORKERS:
            raise KeyError("no worker slot %d" % slot)
        return self.worker_rows + slot

    cdef ClusterRow* cluster(self, int slot) except NULL:
        if not 0 <= slot < CLUSTERS or not self.cluster_rows[slot].used:
            raise KeyError("no cluster in slot %d" % slot)
        return self.cluster_rows + slot

    cdef EndpointRow* endpoint(self, int slot) except NULL:
        if not 0 <= slot < ENDPOINTS or not self.endpoint_rows[slot].used:
            raise KeyError("no endpoint in slot %d" % slot)
        return self.endpoint_rows + slot

    cdef int32_t* share_of(self, int worker, int endpoint) noexcept:
        """Where a worker's own part of an endpoint's `in_flight` is."""
        return self.shares + <size_t>worker * ENDPOINTS + endpoint

    cdef Counters* counters_of(self, int worker, int cluster) noexcept:
        return self.counters + <size_t>worker * CLUSTERS + cluster

    cdef Holding* holding_of(self, int worker, int cluster) noexcept:
        return self.holdings + <size_t>worker * CLUSTERS + cluster

    cdef Tally* tally_of(self, int worker, int series) noexcept:
        return self.tallies + <size_t>worker * SERIES + series

    cdef Count* count_of(self, int worker, int at) noexcept:
        return self.counts + <size_t>worker * COUNTS + at


cdef int copy_text(char* target, size_t room, str text) except -1:
    """Puts the text into a field of `room` bytes, cut down to what fits."""
    cdef bytes raw = text.encode()[:room - 1]
    strncpy(target, raw, room - 1)
    target[room - 1] = 0
    return 0


cdef size_t aligned(size_t size) noexcept:
    """Whole pages."""
    return (size + 4095) & ~<size_t>4095
