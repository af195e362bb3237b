"""Clusters on the scoreboard: slots, what workers counted, the lock, and the fleet's state as last read."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from proxy.scoreboard.atomics cimport wp_load, wp_load64, wp_move, wp_store, wp_store64, wp_swap
from proxy.scoreboard.layout cimport (
    BUCKET_COUNT, CLASSES, CLUSTERS, GROUPS, LIMITED, REASONS, ClusterRow, Counters, Holding,
)
from proxy.scoreboard.limits cimport count_held
from proxy.scoreboard.memory cimport copy_text
from proxy.scoreboard.mutex cimport HELD_BY_ANOTHER, INHERITED, init_mutex, lock_within, unlock

from proxy.scoreboard.views import ClusterCounters

# A cluster's lock is held for microseconds; who has it for so long is stopped.
cdef int64_t LOCK_NS = 20_000_000

EJECTION_REASONS = (
    "consecutive_5xx", "probe_failed", "by_hand", "unreachable_from_here", "consecutive_gateway_failure",
    "consecutive_local_origin_failure", "success_rate", "failure_percentage",
)
LIMITS = ("connections", "pending", "requests", "retries")


class ClusterLocked(Exception):
    """Another process of this replica holds the cluster's lock and does not go on: it is stopped, or starved."""


cdef class Clusters:
    """`slot` is what `add` gave out. KeyError where there is no cluster in it. One process adds and removes."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def add(self, str name) -> int:
        """Gives out a slot for the cluster. MemoryError when all are used."""
        cdef int slot
        cdef ClusterRow* row
        for slot in range(self.lowest, CLUSTERS):
            row = self.memory.cluster_rows + slot
            if row.used:
                continue
            init_mutex(&row.lock)
            row.holder = 0
            copy_text(row.name, sizeof(row.name), name)
            row.cursor = 0
            row.version = 0
            row.epoch[0] = 0
            row.alone = 0
            row.full = 0
            for worker in range(self.memory.header.workers_high):
                memset(self.memory.counters_of(worker, slot), 0, sizeof(Counters))
                memset(self.memory.holding_of(worker, slot), 0, sizeof(Holding))
            memset(row.held, 0, sizeof(row.held))
            memset(row.shares, 0, sizeof(row.shares))
            memset(row.recent, 0, sizeof(row.recent))
            row.used = 1
            if slot >= self.memory.header.clusters_high:
                wp_store(&self.memory.header.clusters_high, slot + 1)
            self.lowest = slot + 1
            return slot
        raise MemoryError("the scoreboard is full: more than %d clusters" % CLUSTERS)

    def remove(self, int slot) -> None:
        """Takes the slot back; no worker may use it any more."""
        self.memory.cluster(slot).used = 0
        self.lowest = min(self.lowest, slot)

    def slots(self) -> dict:
        """Name -> slot of every cluster there is."""
        return {
            self.memory.cluster_rows[slot].name.decode(): slot
            for slot in range(self.memory.header.clusters_high) if self.memory.cluster_rows[slot].used
        }

    # -- counters -----------------------------------------------------------------------------------------------------

    def counters(self, int slot) -> ClusterCounters:
        """The sums over all workers, dead ones included."""
        cdef Counters total
        cdef int64_t* row
        cdef int worker, index
        self.memory.cluster(slot)
        memset(&total, 0, sizeof(Counters))
        for worker in range(self.memory.header.workers_high):
            row = <int64_t*>self.memory.counters_of(worker, slot)
            for index in range(<int>(sizeof(Counters) // sizeof(int64_t))):     # it is nothing but such
                (<int64_t*>&total)[index] += row[index]
        decided = tuple([total.decided[index] for index in range(REASONS)])
        followed = tuple([total.followed[index] for index in range(REASONS)])
        return ClusterCounters(
            *[total.requests[index] for index in range(CLASSES)], total.retries, decided, followed, total.unejections,
            total.overflows, total.duration_ms, tuple([total.buckets[index] for index in range(BUCKET_COUNT)]),
            total.opened, total.unopened, total.idle, total.reused, tuple([total.refused[index] for index in range(LIMITED)]),
            total.mirrored, total.unmirrored, tuple([total.grouped[index] for index in range(GROUPS)]))

    def held(self, int slot) -> tuple:
        """How many there are now, in all workers, of what LIMITS names; what has no limit need not be counted."""
        cdef ClusterRow* row = self.memory.cluster(slot)
        return tuple([count_held(row, index) for index in range(LIMITED)])

    def count(self, int worker, int slot, int unejections=0, int overflows=0) -> None:
        """Adds outlier events to a worker's counters."""
        cdef Counters* row = self.memory.counters_of(worker, slot)
        row.unejections += unejections
        row.overflows += overflows

    def count_ejection(self, int worker, int slot, str reason, bint decided) -> None:
        """An endpoint is out: by this replica's own decision, or since it was told so. Who gives a reason that is none of
        EJECTION_REASONS did it by hand."""
        cdef Counters* row = self.memory.counters_of(worker, slot)
        cdef int index = EJECTION_REASONS.index(reason if reason in EJECTION_REASONS else "by_hand")
        if decided:
            row.decided[index] += 1
        else:
            row.followed[index] += 1

    # -- outlier state of its endpoints -------------------------------------------------------------------------------

    def lock(self, int slot) -> None:
        """Takes the cluster's lock; outlier transitions of its endpoints happen under it and never wait for
        anything. ClusterLocked when another worker does not give it back: after a while, and then at once."""
        cdef ClusterRow* row = self.memory.cluster(slot)
        cdef int taken = lock_within(&row.lock, &row.holder, &self.given_up[slot], LOCK_NS)
        if taken == INHERITED:      # between a change and saying so, perhaps
            wp_move(&row.changes)
        if taken == HELD_BY_ANOTHER:
            raise ClusterLocked(
                "another worker holds a cluster's lock and does not go on: is it stopped? (process %d)" % row.holder)

    def unlock(self, int slot) -> None:
        cdef ClusterRow* row = self.memory.cluster_rows + slot
        unlock(&row.lock, &row.holder)

    def fleet_version(self, int slot) -> tuple:
        """(version, epoch) of the cluster's shared state as last read; epoch "" before that."""
        cdef ClusterRow* row = self.memory.cluster(slot)
        return row.version, row.epoch.decode()

    def set_fleet_version(self, int slot, object version, str epoch) -> None:
        cdef ClusterRow* row = self.memory.cluster(slot)
        row.version = version
        copy_text(row.epoch, sizeof(row.epoch), epoch)

    def alone(self, int slot) -> bool:
        """True: this replica decides about the cluster by itself, whatever it does about the others."""
        return wp_load(&self.memory.cluster(slot).alone) != 0

    def set_alone(self, int slot, bint value) -> bool:
        """True for the one caller of all workers that changed it."""
        return wp_swap(&self.memory.cluster(slot).alone, not value, value)

    def full(self, int slot) -> int:
        """Until when (CLOCK_MONOTONIC, milliseconds) the fleet's word is to be believed that the cap leaves no room; 0: it
        has not said so, or there was room since."""
        return wp_load64(&self.memory.cluster(slot).full)

    def set_full(self, int slot, int64_t until_ms) -> None:
        wp_store64(&self.memory.cluster(slot).full, until_ms)
