"""Series of Istio's metrics: one row for each label set, and in each worker's own slab a tally of it.

How it is meant. A row is its label values, joined, as text: no row leads to another, so each lives and ends by itself.
Workers find or make rows under one lock, once for each label set and worker; after that a worker knows the row and its
generation, and counting is a look at that generation and plain additions in memory that no other process writes. What is
read are the sums over all slabs, those of dead workers too: what has been counted is never lost, whoever is killed, and
the next worker of that slot goes on in the same slab. With shared atomics the same additions would cost five times as
much alone, and fifty times where two workers count the same series.

There are SERIES rows. When all are taken, what has no row is counted in that of its kind (the rows 0 to 2, which are
nobody's); their generations move on whenever a row is freed.

The controller gives rows up whose workloads are gone, in two steps. `give_up` moves the generation on: workers that
count once more look the row up again, and so take it back. A row is `free` only after every worker has been between two
things it does (`turns`), so that none is in the middle of counting by the old generation, and only if nothing was
counted meanwhile and no connection is open. Then its tallies are cleared in all slabs, under the lock.

A row of connections is pointed to for as long as one is open: so it is not given up while there are more opened than
closed. What a dead worker had open the arbiter counts as closed (`close_all`).
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from proxy.scoreboard.atomics cimport wp_load, wp_load64, wp_move, wp_store, wp_store64, wp_swap
from proxy.scoreboard.layout cimport (
    COUNTED,
    GIVEN_UP,
    LABELS,
    NOBODYS,
    OF_CONNECTIONS,
    OF_MESSAGES,
    OF_REQUESTS,
    SERIES,
    SERIES_KINDS,
    Header,
    SeriesRow,
    Tally,
)
from proxy.scoreboard.mutex cimport HELD_BY_ANOTHER, lock_within, unlock

from proxy.scoreboard.views import Series

REQUESTS, CONNECTIONS, MESSAGES = OF_REQUESTS, OF_CONNECTIONS, OF_MESSAGES
KINDS = SERIES_KINDS
LIMIT = SERIES - SERIES_KINDS
VALUES = sizeof(Tally) // sizeof(int64_t) - 1

# The lock is held for microseconds, or for a millisecond where a row is looked for in vain among thousands.
cdef int64_t LOCK_NS = 5_000_000


cdef class SeriesTable:
    """`slot` is a row's. Workers `place`; the controller reads, gives up and frees."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    # -- for workers --------------------------------------------------------------------------------------------------

    cdef int place(self, int kind, bytes labels) except -2:
        """The row of these labels, made if need be, or what is said instead (series.pxd)."""
        cdef uint64_t hash = hash_of(kind, labels)
        cdef int slot
        if len(labels) > LABELS:
            return NO_ROOM
        if not self.lock():
            return NOT_NOW
        try:
            slot = self.find(hash, kind, labels)
            if slot < 0:
                slot = self.vacancy()
                if slot >= 0:
                    self.fill(slot, hash, kind, labels)
            elif self.memory.series_rows[slot].state == GIVEN_UP:
                wp_store(&self.memory.series_rows[slot].state, COUNTED)
            return slot
        finally:
            self.unlock()

    cdef int find(self, unsigned long long hash, int kind, bytes labels) except -2:
        """The row with these labels, or NO_ROOM."""
        cdef SeriesRow* row
        cdef int slot
        for slot in range(SERIES_KINDS, self.memory.header.series_high):
            row = self.memory.series_rows + slot
            if row.hash == hash and row.state != NOBODYS and row.kind == kind and row.length == len(labels) \
                    and memcmp(row.labels, <const char*>labels, len(labels)) == 0:
                return slot
        return NO_ROOM

    cdef int vacancy(self) noexcept:
        """A row that is nobody's, or NO_ROOM. What whoever was killed while filling one has left there says nothing."""
        cdef int slot, high = max(self.memory.header.series_high, SERIES_KINDS)
        for slot in range(SERIES_KINDS, high):
            if self.memory.series_rows[slot].state == NOBODYS:
                return slot
        return high if high < SERIES else NO_ROOM

    def fill(self, int slot, uint64_t hash, int kind, bytes labels) -> None:
        """The row is of these labels from now on."""
        cdef SeriesRow* row = self.memory.series_rows + slot
        row.hash, row.kind, row.length = hash, kind, len(labels)
        memcpy(row.labels, <const char*>labels, len(labels))
        wp_store(&row.state, COUNTED)
        if slot >= self.memory.header.series_high:
            wp_store(&self.memory.header.series_high, slot + 1)

    def overflow(self, int kind, bytes labels) -> bool:
        """What finds no room is counted in the row of its kind, under these labels, from now on. True for the first one
        that has to."""
        if wp_load(&self.memory.series_rows[kind].state) == NOBODYS:
            self.fill(kind, hash_of(kind, labels), kind, labels)
        return wp_swap(&self.memory.header.series_full, 0, 1)

    # -- for whoever reads --------------------------------------------------------------------------------------------

    def rows(self) -> list:
        """The series there are, those that are being given up too."""
        cdef SeriesRow* row
        cdef int slot
        found = []
        for slot in range(wp_load(&self.memory.header.series_high)):
            row = self.memory.series_rows + slot
            if wp_load(&row.state) != NOBODYS:
                found.append(Series(slot, row.generation, row.kind, row.labels[:row.length], row.state == GIVEN_UP))
        return found

    def totals(self, int slot) -> tuple:
        """The numbers of a series, summed over all workers: those of RequestTally, ConnectionTally or MessageTally
        (layout.pxd), in that order."""
        cdef int64_t[64] total
        cdef int64_t* tally
        cdef int worker, index
        memset(total, 0, sizeof(total))
        for worker in range(wp_load(&self.memory.header.workers_high)):
            tally = <int64_t*>self.memory.tally_of(worker, slot) + 1
            for index in range(VALUES):
                total[index] += tally[index]
        return tuple([total[index] for index in range(VALUES)])

    def touched(self, int slot) -> int:
        """When it was counted last, CLOCK_MONOTONIC ns; 0: never."""
        cdef int worker
        cdef int64_t latest = 0
        for worker in range(wp_load(&self.memory.header.workers_high)):
            latest = max(latest, wp_load64(&self.memory.tally_of(worker, slot).touched))
        return latest

    @property
    def expired(self) -> int:
        """Rows freed so far."""
        return wp_load64(&self.memory.header.expired)

    # -- for the controller -------------------------------------------------------------------------------------------

    def give_up(self, int slot) -> bool:
        """Workers that know the row look for it anew. False: it is in use."""
        cdef SeriesRow* row = self.memory.series_rows + slot
        if self.is_open(slot) or not self.lock():
            return False
        if row.state == COUNTED:
            wp_store(&row.state, GIVEN_UP)
            wp_move(&row.generation)
        self.unlock()
        return True

    def free(self, int slot, int64_t touched) -> bool:
        """Every worker has had a turn since it was given up. False: somebody has counted since `touched`, so it stays."""
        cdef SeriesRow* row = self.memory.series_rows + slot
        cdef int worker, kind
        cdef bint unused
        if not self.lock():
            return False
        unused = row.state == GIVEN_UP and self.touched(slot) == touched and not self.is_open(slot)
        if unused:
            for worker in range(wp_load(&self.memory.header.workers_high)):
                memset(self.memory.tally_of(worker, slot), 0, sizeof(Tally))
            wp_store(&row.state, NOBODYS)
            for kind in range(SERIES_KINDS):
                wp_move(&self.memory.series_rows[kind].generation)
            wp_store(&self.memory.header.series_full, 0)
            wp_store64(&self.memory.header.expired, self.memory.header.expired + 1)
        elif row.state == GIVEN_UP:
            wp_store(&row.state, COUNTED)
        self.unlock()
        return unused

    def is_open(self, int slot) -> bool:
        """Whether connections are open that it counts."""
        return self.memory.series_rows[slot].kind == OF_CONNECTIONS and open_in(self.memory, slot) != 0

    # -- the lock -----------------------------------------------------------------------------------------------------

    cdef bint lock(self) except -1:
        cdef Header* header = self.memory.header
        return lock_within(&header.series_lock, &header.series_holder, &self.given_up, LOCK_NS) != HELD_BY_ANOTHER

    cdef int unlock(self) except -1:
        unlock(&self.memory.header.series_lock, &self.memory.header.series_holder)
        return 0


cdef int64_t open_in(Memory memory, int slot) except? -1:
    cdef int worker
    cdef int64_t opened = 0
    cdef Tally* tally
    for worker in range(wp_load(&memory.header.workers_high)):
        tally = memory.tally_of(worker, slot)
        opened += tally.counted.of_connections.opened - tally.counted.of_connections.closed
    return opened


cdef int close_all(Memory memory, int worker) except -1:
    """The worker is dead: its connections are closed."""
    cdef int slot
    cdef Tally* tally
    for slot in range(wp_load(&memory.header.series_high)):
        if memory.series_rows[slot].kind == OF_CONNECTIONS:
            tally = memory.tally_of(worker, slot)
            tally.counted.of_connections.closed = tally.counted.of_connections.opened
    return 0


cdef uint64_t hash_of(int kind, bytes labels) noexcept:
    """FNV-1a."""
    cdef uint64_t hash = 14695981039346656037ULL ^ <uint64_t>kind
    cdef const unsigned char* at = labels
    cdef Py_ssize_t index
    for index in range(len(labels)):
        hash = (hash ^ at[index]) * 1099511628211ULL
    return hash
