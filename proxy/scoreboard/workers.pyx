"""The workers of a replica: which there are and what they do, who gets the next connection, who has the lease."""

from libc.stdint cimport int32_t, int64_t

from proxy.scoreboard.atomics cimport wp_add, wp_add64, wp_load, wp_load64, wp_store, wp_store64, wp_swap64
from posix.time cimport clock_gettime, timespec

from proxy.scoreboard.buckets cimport bound_of
from proxy.scoreboard.layout cimport BOUND_COUNT, WORKERS, Header, Reports, WorkerRow
from proxy.scoreboard.limits cimport give_back
from proxy.scoreboard.mutex cimport HELD_BY_ANOTHER, lock_within, unlock
from proxy.scoreboard.series cimport close_all

from proxy.scoreboard.views import Reports as ReportsView, WorkerView

cdef extern from "time.h" nogil:
    int CLOCK_PROCESS_CPUTIME_ID

MAX_WORKERS = WORKERS

FREE, STARTING, READY, DRAINING = range(4)

# A lease not renewed for so long is free: its holder hangs or is gone.
cdef int64_t LEASE_MS = 3000
cdef int64_t HOLDERS = 2 * WORKERS       # a lease is a number: until when (ms) times this, and 1 + the holder's slot
# Connections are assigned under a lock for microseconds; whoever has it for so long is stopped.
cdef int64_t LOCK_NS = 1_000_000


cdef class Workers:
    """A worker's slot is its number, from 0. KeyError where there is no such slot."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def start(self, int slot, int pid) -> None:
        """The arbiter has started process `pid` as worker `slot`."""
        cdef WorkerRow* row = self.memory.worker(slot)
        row.connections = 0
        row.snapshot = 0
        row.starts += 1
        row.cpu_before = row.cpu_ns
        if slot >= self.memory.header.workers_high:
            wp_store(&self.memory.header.workers_high, slot + 1)
        wp_store(&row.pid, pid)
        wp_store(&row.state, STARTING)

    def reap(self, int slot) -> None:
        """Worker `slot` is gone: what it had in flight is not any more, and its lease is free."""
        cdef WorkerRow* row = self.memory.worker(slot)
        cdef int32_t* share
        cdef int endpoint, cluster
        for endpoint in range(wp_load(&self.memory.header.endpoints_high)):
            share = self.memory.share_of(slot, endpoint)
            if share[0]:
                wp_add(&self.memory.endpoint_rows[endpoint].in_flight, -share[0])
                share[0] = 0
        for cluster in range(wp_load(&self.memory.header.clusters_high)):
            self.memory.counters_of(slot, cluster).idle = 0
            give_back(self.memory, slot, cluster)
        close_all(self.memory, slot)
        wp_store(&row.connections, 0)
        row.unread_answers = row.waiting_requests = 0
        self.drop_lease(slot)
        wp_store(&row.pid, 0)
        wp_store(&row.state, FREE)

    def set_state(self, int slot, int state) -> None:
        """STARTING, READY or DRAINING."""
        wp_store(&self.memory.worker(slot).state, state)

    def set_snapshot(self, int slot, object number) -> None:
        """Worker `slot` serves snapshot `number` and no longer uses anything older."""
        wp_store64(&self.memory.worker(slot).snapshot, number)

    def rows(self) -> list:
        """The workers there are, in slot order."""
        return [
            self.row(slot)
            for slot in range(self.memory.header.workers_high) if self.memory.worker_rows[slot].state != FREE
        ]

    def row(self, int slot) -> WorkerView:
        cdef WorkerRow* row = self.memory.worker(slot)
        return WorkerView(slot, row.pid, row.state, row.connections, row.snapshot, row.requests, row.log_lines_dropped,
                          row.handed_over, row.unread_answers, row.waiting_requests, row.starts, row.cpu_ns,
                          row.tokens_taken, row.tokens_refused, row.keys_missed)

    def turn(self, int slot) -> None:
        """Worker `slot` is between two things that it does."""
        cdef WorkerRow* row = self.memory.worker(slot)
        wp_store64(&row.turns, row.turns + 1)
        row.cpu_ns = row.cpu_before + process_cpu_ns()

    def turns(self) -> dict:
        """Slot of each worker there is -> its process, and how often it has been between two things."""
        cdef WorkerRow* row
        cdef int slot
        found = {}
        for slot in range(wp_load(&self.memory.header.workers_high)):
            row = self.memory.worker_rows + slot
            if wp_load(&row.state) != FREE:
                found[slot] = wp_load(&row.pid), wp_load64(&row.turns)
        return found

    def all_rows(self) -> list:
        """The slots that ever had a worker."""
        return [self.row(slot) for slot in range(self.memory.header.workers_high)]

    # -- the store ----------------------------------------------------------------------------------------------------

    def note_report(self, int slot, int64_t duration_us) -> None:
        """The store has answered a report of worker `slot`; negative: it has not."""
        cdef Reports* told = &self.memory.worker(slot).reports
        if duration_us < 0:
            told.failed += 1
            return
        told.answered += 1
        told.duration_us += duration_us
        told.buckets[bound_of((duration_us + 999) // 1000 if duration_us > 500 else 0)] += 1

    def reports(self) -> ReportsView:
        """Of all workers, dead ones included."""
        cdef Reports* told
        cdef int slot, index
        totals, buckets = [0] * 3, [0] * BOUND_COUNT
        for slot in range(self.memory.header.workers_high):
            told = &self.memory.worker_rows[slot].reports
            for index, count in enumerate((told.answered, told.failed, told.duration_us)):
                totals[index] += count
            for index in range(BOUND_COUNT):
                buckets[index] += told.buckets[index]
        return ReportsView(*totals, tuple(buckets))

    # -- connections --------------------------------------------------------------------------------------------------

    cpdef int assign_connection(self, int slot) except -1:
        """Which worker shall have a connection that worker `slot` accepted: itself unless another has fewer. Counts it
        there. While the holder of the lock is stopped, two that choose at once may choose the same."""
        cdef int other, best = slot
        cdef WorkerRow* rows = self.memory.worker_rows
        cdef Header* header = self.memory.header
        cdef int locked
        if header.workers_high == 1:
            wp_add(&rows[slot].connections, 1)
            return slot
        locked = lock_within(&header.lock, &header.holder, &self.given_up, LOCK_NS)
        for other in range(self.memory.header.workers_high):
            if rows[other].state == READY and wp_load(&rows[other].connections) < wp_load(&rows[best].connections):
                best = other
        wp_add(&rows[best].connections, 1)
        if locked != HELD_BY_ANOTHER:
            unlock(&header.lock, &header.holder)
        if best != slot:
            wp_add64(&rows[slot].handed_over, 1)
        return best

    cpdef int add_connections(self, int slot, int n) except -1:
        """Worker `slot` has `n` connections more."""
        wp_add(&self.memory.worker(slot).connections, n)
        return 0

    # -- the lease ----------------------------------------------------------------------------------------------------

    def take_lease(self, int slot) -> bool:
        """True while worker `slot` is the one that subscribes and reconciles; call at least every second to keep it."""
        cdef int64_t now_ms = self.memory.now() // 1_000_000
        cdef int64_t lease = wp_load64(&self.memory.header.lease)
        if lease_holder(lease) not in (0, slot + 1) and lease // HOLDERS >= now_ms:
            return False
        return wp_swap64(&self.memory.header.lease, lease, (now_ms + LEASE_MS) * HOLDERS + slot + 1)

    def drop_lease(self, int slot) -> None:
        """Worker `slot` does not want it any more, if it has it."""
        cdef int64_t lease = wp_load64(&self.memory.header.lease)
        if lease_holder(lease) == slot + 1:
            wp_swap64(&self.memory.header.lease, lease, 0)


cdef inline int lease_holder(int64_t lease) noexcept:
    """1 + slot of the worker that has it, 0: nobody."""
    return <int>(lease % HOLDERS)


cdef inline int64_t process_cpu_ns() noexcept:
    cdef timespec used
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
    return <int64_t>used.tv_sec * 1_000_000_000 + used.tv_nsec
