"""The scoreboard: memory shared by the processes of one replica, so that its workers decide as one.

One memfd, mapped by arbiter, controller and workers. What each part promises:

* Counters and flags are atomics; reading them needs no lock, and a reader may see a value a moment old.
* Outlier state of an endpoint changes only under its cluster's lock, a robust process-shared mutex: a worker killed
  while it holds one is noticed by the next (EOWNERDEAD) and the state it left is whole enough, since every transition
  is written with the deadline last.
* The arbiter alone starts and reaps worker rows; the controller alone gives out cluster and endpoint slots, and frees
  one only after every worker has acknowledged the snapshot that no longer names it.
* Rows describe themselves (name, address, workload), so a restarted controller reads its allocation back from here.

The memory is sparse: a row costs pages only once it is used. No I/O, no policy: what the numbers mean is decided
elsewhere.
"""

import os

from proxy.views import ClusterCounters, EndpointView, Mode, OutlierState, WorkerView

from libc.string cimport memset, strncpy
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

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

MAX_WORKERS = WORKERS
MAX_CLUSTERS = CLUSTERS
MAX_ENDPOINTS = ENDPOINTS

FREE, STARTING, READY, DRAINING = range(4)

# Of an ejection: this replica made it alone and waits for Redis to answer; its line is in the log; Redis knows it; Redis
# is not to know it.
HELD = 1
LOGGED = 2
SHARED = 4
PRIVATE = 8

# Upper bounds of the request time histogram, in milliseconds; the last bucket is open.
BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10000, 30000, 60000, 300000, 1800000)
cdef int64_t[BUCKET_COUNT] BOUNDS
for _index, _bound in enumerate(BUCKETS_MS):
    BOUNDS[_index] = _bound

cdef uint64_t MAGIC = 0x77617970_6f696e31
# A lease not renewed for so long is free: its holder hangs or is gone.
cdef int64_t LEASE_NS = 3_000_000_000
# A cluster's lock is held for microseconds; who has it for so long is stopped.
cdef int64_t LOCK_NS = 20_000_000
# Longer than any time limit, and still a number of nanoseconds in 64 bits (more than 200 years).
cdef int64_t FOREVER_MS = 8_000_000_000_000


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef int bucket_of(int64_t duration_ms) noexcept nogil:
    cdef int index
    for index in range(BUCKET_COUNT - 1):
        if duration_ms <= BOUNDS[index]:
            return index
    return BUCKET_COUNT - 1


class ClusterLocked(Exception):
    """Another process of this replica holds the cluster's lock and does not go on: it is stopped, or starved."""


cdef size_t aligned(size_t size) noexcept:
    return (size + 4095) & ~<size_t>4095


cdef int64_t within(value, int64_t most) except -1:
    """The value, if need be cut down to what fits: some numbers come from texts that anybody can write into the
    store."""
    return 0 if value < 0 else most if value > most else <int64_t>value


cdef int copy_text(char* target, size_t room, str text) except -1:
    cdef bytes raw = text.encode()[:room - 1]
    strncpy(target, raw, room - 1)
    target[room - 1] = 0
    return 0


cdef class Scoreboard:
    """See the module's docstring. Made by `create` in the arbiter, mapped by `attach` in its children."""

    def __cinit__(self, int fd, bint fresh):
        cdef size_t workers_at = aligned(sizeof(Header))
        cdef size_t clusters_at = workers_at + aligned(WORKERS * sizeof(WorkerRow))
        cdef size_t endpoints_at = clusters_at + aligned(CLUSTERS * sizeof(ClusterRow))
        cdef size_t shares_at = endpoints_at + aligned(ENDPOINTS * sizeof(EndpointRow))
        cdef size_t counters_at = shares_at + aligned(<size_t>WORKERS * ENDPOINTS * sizeof(int32_t))
        cdef size_t size = counters_at + aligned(<size_t>WORKERS * CLUSTERS * sizeof(Counters))
        cdef void* memory
        self.fd = fd
        if fresh:
            os.ftruncate(fd, size)
        elif os.fstat(fd).st_size != size:
            raise ValueError("this scoreboard was made by another version of waypointd")
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        if memory == MAP_FAILED:
            raise MemoryError("cannot map the scoreboard")
        self.memory = <char*>memory
        self.header = <Header*>self.memory
        self.worker_rows = <WorkerRow*>(self.memory + workers_at)
        self.cluster_rows = <ClusterRow*>(self.memory + clusters_at)
        self.endpoint_rows = <EndpointRow*>(self.memory + endpoints_at)
        self.shares = <int32_t*>(self.memory + shares_at)
        self.counters = <Counters*>(self.memory + counters_at)
        if fresh:
            init_mutex(&self.header.lock)
            self.header.magic = MAGIC
        elif self.header.magic != MAGIC:
            raise ValueError("file descriptor %d is no scoreboard" % fd)

    @staticmethod
    def create() -> Scoreboard:
        """A new, empty scoreboard; its descriptor may be inherited by children that are told so."""
        return Scoreboard(os.memfd_create("waypointd-scoreboard"), True)

    @staticmethod
    def attach(int fd) -> Scoreboard:
        """Maps the scoreboard behind an inherited descriptor."""
        return Scoreboard(fd, False)

    cdef int lock(self, pthread_mutex_t* mutex) except -1:
        return taken(mutex, pthread_mutex_lock(mutex))

    cdef int lock_soon(self, pthread_mutex_t* mutex) except -1:
        """As `lock`, for no longer than LOCK_NS."""
        cdef timespec until
        cdef int64_t at
        cdef int failed = pthread_mutex_trylock(mutex)
        if failed == EBUSY:
            at = monotonic_ns() + LOCK_NS
            until.tv_sec, until.tv_nsec = at // 1_000_000_000, at % 1_000_000_000
            failed = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until)
        if failed == ETIMEDOUT:
            raise ClusterLocked("another worker holds a cluster's lock and does not go on: is it stopped?")
        return taken(mutex, failed)

    cdef void unlock(self, pthread_mutex_t* mutex) noexcept:
        pthread_mutex_unlock(mutex)

    cdef int32_t* share(self, int worker, int endpoint) noexcept:
        return self.shares + <size_t>worker * ENDPOINTS + endpoint

    cdef Counters* counters_of(self, int worker, int cluster) noexcept:
        return self.counters + <size_t>worker * CLUSTERS + cluster

    # -- workers ------------------------------------------------------------------------------------------------------

    def start_worker(self, int slot, int pid) -> None:
        """The arbiter has started process `pid` as worker `slot`."""
        cdef WorkerRow* row = self._worker(slot)
        row.connections = 0
        row.snapshot = 0
        if slot >= self.header.workers_high:
            wp_store(&self.header.workers_high, slot + 1)
        wp_store(&row.pid, pid)
        wp_store(&row.state, STARTING)

    def reap_worker(self, int slot) -> None:
        """Worker `slot` is gone: what it had in flight is not any more, and its lease is free."""
        cdef WorkerRow* row = self._worker(slot)
        cdef int32_t* share
        cdef int endpoint
        for endpoint in range(wp_load(&self.header.endpoints_high)):
            share = self.share(slot, endpoint)
            if share[0]:
                wp_add(&self.endpoint_rows[endpoint].in_flight, -share[0])
                share[0] = 0
        self.lock(&self.header.lock)
        row.connections = 0
        if self.header.lease_worker == slot + 1:
            self.header.lease_worker = 0
        self.unlock(&self.header.lock)
        wp_store(&row.pid, 0)
        wp_store(&row.state, FREE)

    def set_worker_state(self, int slot, int state) -> None:
        wp_store(&self._worker(slot).state, state)

    def set_worker_snapshot(self, int slot, number) -> None:
        """Worker `slot` serves snapshot `number` and no longer uses anything older."""
        wp_store64(&self._worker(slot).snapshot, number)

    def workers(self) -> list:
        """The workers there are, in slot order."""
        return [self.worker(slot) for slot in range(self.header.workers_high) if self.worker_rows[slot].state != FREE]

    def worker(self, int slot) -> WorkerView:
        cdef WorkerRow* row = self._worker(slot)
        return WorkerView(slot, row.pid, row.state, row.connections, row.snapshot, row.requests, row.log_lines_dropped,
                          row.handed_over)

    def assign_connection(self, int slot) -> int:
        """Which worker shall have a connection that worker `slot` accepted: itself unless another has fewer. Counts it
        there."""
        cdef int other, best = slot
        cdef WorkerRow* rows = self.worker_rows
        self.lock(&self.header.lock)
        for other in range(self.header.workers_high):
            if rows[other].state == READY and wp_load(&rows[other].connections) < wp_load(&rows[best].connections):
                best = other
        wp_add(&rows[best].connections, 1)
        self.unlock(&self.header.lock)
        if best != slot:
            wp_add64(&rows[slot].handed_over, 1)
        return best

    def add_connections(self, int slot, int n) -> None:
        wp_add(&self._worker(slot).connections, n)

    def take_lease(self, int slot) -> bool:
        """True while worker `slot` is the one that subscribes and reconciles; call at least every second to keep it."""
        cdef int64_t now = monotonic_ns()
        cdef bint mine
        self.lock(&self.header.lock)
        mine = self.header.lease_worker in (0, slot + 1) or self.header.lease_until < now
        if mine:
            self.header.lease_worker = slot + 1
            self.header.lease_until = now + LEASE_NS
        self.unlock(&self.header.lock)
        return mine

    def drop_lease(self, int slot) -> None:
        self.lock(&self.header.lock)
        if self.header.lease_worker == slot + 1:
            self.header.lease_worker = 0
        self.unlock(&self.header.lock)

    cdef WorkerRow* _worker(self, int slot) except NULL:
        if not 0 <= slot < WORKERS:
            raise KeyError("no worker slot %d" % slot)
        return self.worker_rows + slot

    # -- flags of the replica -----------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """The replica is going away."""
        return wp_load(&self.header.draining) != 0

    @draining.setter
    def draining(self, bint value) -> None:
        wp_store(&self.header.draining, value)

    @property
    def reconciled(self) -> bool:
        """The fleet's ejections have been read once since the start."""
        return wp_load(&self.header.reconciled) != 0

    @reconciled.setter
    def reconciled(self, bint value) -> None:
        wp_store(&self.header.reconciled, value)

    @property
    def shared_state(self) -> bool:
        """True: Redis decides. False: it is away, and this replica decides by itself."""
        return wp_load(&self.header.shared_state) != 0

    @shared_state.setter
    def shared_state(self, bint value) -> None:
        if value:
            if wp_swap(&self.header.shared_state, 0, 1):
                self.note_mode("")
        else:
            self.leave_shared_state()

    def leave_shared_state(self, str reason="") -> bool:
        """Switches to local mode; True for the one caller of all workers that did it."""
        cdef bint left = wp_swap(&self.header.shared_state, 1, 0)
        if left:
            self.note_mode(reason)
        return left

    def note_mode(self, str reason) -> None:
        """Why this replica decides by itself, since now."""
        copy_text(self.header.mode_reason, sizeof(self.header.mode_reason), reason)
        wp_store64(&self.header.mode_since, monotonic_ns() // 1_000_000)

    def mode(self) -> Mode:
        """Who decides, since when and why."""
        return Mode(self.shared_state, wp_load64(&self.header.mode_since),
                    self.header.mode_reason.decode(errors="replace"))

    @property
    def suspects_itself(self) -> bool:
        """This replica reaches so few endpoints that the fault is probably its own."""
        return wp_load(&self.header.suspects_itself) != 0

    def suspect_itself(self, bint value) -> bool:
        """Begins or ends to; True for the one caller that changed it."""
        return wp_swap(&self.header.suspects_itself, not value, value)

    # -- allocation ---------------------------------------------------------------------------------------------------

    def add_cluster(self, str name) -> int:
        """Gives out a slot for the cluster. MemoryError when all are used."""
        cdef int slot
        cdef ClusterRow* row
        for slot in range(CLUSTERS):
            row = self.cluster_rows + slot
            if row.used:
                continue
            init_mutex(&row.lock)
            copy_text(row.name, sizeof(row.name), name)
            row.cursor = 0
            row.version = 0
            row.epoch[0] = 0
            row.alone = 0
            for worker in range(self.header.workers_high):
                memset(self.counters_of(worker, slot), 0, sizeof(Counters))
            row.used = 1
            if slot >= self.header.clusters_high:
                wp_store(&self.header.clusters_high, slot + 1)
            return slot
        raise MemoryError("the scoreboard is full: more than %d clusters" % CLUSTERS)

    def remove_cluster(self, int slot) -> None:
        """Takes the slot back; no worker may use it any more."""
        self._cluster(slot).used = 0

    def clusters(self) -> dict:
        """Name -> slot of every cluster there is."""
        return {
            self.cluster_rows[slot].name.decode(): slot
            for slot in range(self.header.clusters_high) if self.cluster_rows[slot].used
        }

    def add_endpoint(self, int cluster, str address, str workload) -> int:
        """Gives out a slot for an endpoint of the cluster, with a clean record. MemoryError when all are used."""
        cdef int slot
        cdef EndpointRow* row
        self._cluster(cluster)
        for slot in range(ENDPOINTS):
            row = self.endpoint_rows + slot
            if row.used or wp_load(&row.in_flight):     # attempts under way on what was removed still write there
                continue
            memset(row, 0, sizeof(EndpointRow))
            row.cluster = cluster
            copy_text(row.address, sizeof(row.address), address)
            copy_text(row.workload, sizeof(row.workload), workload)
            row.since = monotonic_ns()
            wp_store(&row.used, 1)
            if slot >= self.header.endpoints_high:
                wp_store(&self.header.endpoints_high, slot + 1)
            return slot
        raise MemoryError("the scoreboard is full: more than %d endpoints" % ENDPOINTS)

    def remove_endpoint(self, int slot) -> None:
        """Takes the slot back; no worker may use it any more."""
        self._endpoint(slot).used = 0

    def endpoints(self) -> dict:
        """(cluster slot, address, workload) -> slot of every endpoint there is."""
        cdef EndpointRow* row
        cdef int slot
        found = {}
        for slot in range(self.header.endpoints_high):
            row = self.endpoint_rows + slot
            if row.used:
                found[row.cluster, row.address.decode(), row.workload.decode()] = slot
        return found

    cdef ClusterRow* _cluster(self, int slot) except NULL:
        if not 0 <= slot < CLUSTERS or not self.cluster_rows[slot].used:
            raise KeyError("no cluster in slot %d" % slot)
        return self.cluster_rows + slot

    cdef EndpointRow* _endpoint(self, int slot) except NULL:
        if not 0 <= slot < ENDPOINTS or not self.endpoint_rows[slot].used:
            raise KeyError("no endpoint in slot %d" % slot)
        return self.endpoint_rows + slot

    # -- reading ------------------------------------------------------------------------------------------------------

    def cluster_counters(self, int slot) -> ClusterCounters:
        """The sums over all workers, dead ones included."""
        cdef Counters* row
        cdef int worker, index
        self._cluster(slot)
        totals = [0] * (CLASSES + 5)
        buckets = [0] * BUCKET_COUNT
        for worker in range(self.header.workers_high):
            row = self.counters_of(worker, slot)
            for index in range(CLASSES):
                totals[index] += row.requests[index]
            totals[CLASSES] += row.retries
            totals[CLASSES + 1] += row.ejections
            totals[CLASSES + 2] += row.unejections
            totals[CLASSES + 3] += row.overflows
            totals[CLASSES + 4] += row.duration_ms
            for index in range(BUCKET_COUNT):
                buckets[index] += row.buckets[index]
        return ClusterCounters(*totals, tuple(buckets))

    def count(self, int worker, int cluster, int ejections=0, int unejections=0, int overflows=0) -> None:
        """Adds outlier events to a worker's counters."""
        cdef Counters* row = self.counters_of(worker, cluster)
        row.ejections += ejections
        row.unejections += unejections
        row.overflows += overflows

    def endpoint_row(self, int slot) -> EndpointView:
        cdef EndpointRow* row = self._endpoint(slot)
        cdef int64_t left = wp_load64(&row.ejected_until) - monotonic_ns()
        return EndpointView(
            wp_load(&row.in_flight), row.requests, row.failed, row.generation, max(0, (left + 999_999) // 1_000_000),
            bool(row.flags & HELD), bool(row.flags & LOGGED), bool(row.dirty), row.failures, row.ejections, row.backoff,
            row.ejection_ms, bool(row.flags & PRIVATE),
            max(0, (row.probe_at - monotonic_ns()) // 1_000_000) if row.probe_at else -1)

    def count_ejected(self, slots) -> int:
        """How many of these endpoints are out now."""
        cdef int64_t now = monotonic_ns()
        cdef int slot
        cdef int total = 0
        for slot in slots:
            total += wp_load64(&self._endpoint(slot).ejected_until) > now
        return total

    def undecided(self, slots) -> list:
        """Those of these endpoints that are out now without Redis knowing of it, though it should."""
        cdef int64_t now = monotonic_ns()
        cdef EndpointRow* row
        cdef int slot
        found = []
        for slot in slots:
            row = self._endpoint(slot)
            if wp_load64(&row.ejected_until) > now and not row.flags & (SHARED | PRIVATE):
                found.append(slot)
        return found

    def returns(self, slots) -> tuple:
        """(slots whose ejection has ended but is not noted yet, ms until the next one ends or -1) of these
        endpoints."""
        cdef int64_t now = monotonic_ns()
        cdef int64_t until, soonest = -1
        cdef int slot
        over = []
        for slot in slots:
            until = wp_load64(&self._endpoint(slot).ejected_until)
            if until == 0:
                continue
            if until <= now:
                over.append(slot)
            elif soonest < 0 or until - now < soonest:
                soonest = until - now
        return over, soonest if soonest < 0 else soonest // 1_000_000 + 1

    # -- outlier state ------------------------------------------------------------------------------------------------

    def lock_cluster(self, int slot) -> None:
        """Takes the cluster's lock; outlier transitions of its endpoints happen under it and never wait for
        anything. ClusterLocked when another worker does not give it back."""
        self.lock_soon(&self._cluster(slot).lock)

    def unlock_cluster(self, int slot) -> None:
        self.unlock(&self.cluster_rows[slot].lock)

    def outlier_state(self, int slot) -> OutlierState:
        cdef EndpointRow* row = self._endpoint(slot)
        return OutlierState(
            row.failures, row.generation, row.ejections, row.backoff, row.ejected_until // 1_000_000, row.ejection_ms,
            row.unejected_at // 1_000_000, row.run, bool(row.flags & HELD), bool(row.flags & LOGGED),
            bool(row.flags & SHARED), bool(row.dirty), row.version, bool(row.flags & PRIVATE),
            row.probe_at // 1_000_000)

    def set_outlier_state(self, int slot, state) -> None:
        """Writes a whole OutlierState; the deadline last, since it alone takes the endpoint out or back."""
        cdef EndpointRow* row = self._endpoint(slot)
        row.failures = within(state.failures, INT32_MAX)
        row.ejections = within(state.ejections, INT32_MAX)
        row.backoff = within(state.backoff, INT32_MAX)
        row.ejection_ms = within(state.ejection_ms, FOREVER_MS)
        row.unejected_at = within(state.unejected_at_ms, FOREVER_MS) * 1_000_000
        row.run = within(state.run, INT32_MAX)
        row.version = state.version
        row.flags = ((HELD if state.held else 0) | (LOGGED if state.logged else 0) | (SHARED if state.shared else 0)
                     | (PRIVATE if state.private else 0))
        row.probe_at = within(state.probe_at_ms, FOREVER_MS) * 1_000_000
        wp_storeu(&row.dirty, state.dirty)
        if row.generation != state.generation or not state.ejected_until_ms:
            wp_store(&row.probe, NO_PROBE)      # it was one of another ejection
        wp_storeu(&row.generation, <uint32_t>within(state.generation, INT32_MAX))
        wp_store64(&row.ejected_until, within(state.ejected_until_ms, FOREVER_MS) * 1_000_000)

    # -- recovery by probe --------------------------------------------------------------------------------------------

    def offer_probe(self, int slot) -> None:
        """The next request for the cluster, whichever worker has it, tries this endpoint although it is out."""
        cdef EndpointRow* row = self._endpoint(slot)
        wp_storeu(&row.dirty, 1)        # its success matters
        wp_store(&row.probe, PROBE_OFFERED)

    def take_probe(self, int slot) -> bool:
        """Whether the caller's request is the one that tries it."""
        return take_probe(self._endpoint(slot))

    def withdraw_probe(self, int slot) -> bool:
        """True if no request had come that could try it."""
        return wp_swap(&self._endpoint(slot).probe, PROBE_OFFERED, NO_PROBE)

    def end_probe(self, int slot) -> bool:
        """The request that tried the endpoint has said something; True for the first one to tell."""
        return wp_swap(&self._endpoint(slot).probe, PROBE_TAKEN, NO_PROBE)

    def awaiting_probe(self, slots) -> list:
        """Those of these endpoints that are out until a probe succeeds."""
        cdef int64_t now = monotonic_ns()
        cdef int slot
        return [slot for slot in slots if self._endpoint(slot).probe_at and self._endpoint(slot).ejected_until > now]

    def probe_pending(self, int slot) -> bool:
        """Whether a request may or does try the endpoint now."""
        return wp_load(&self._endpoint(slot).probe) != NO_PROBE

    # -- this replica's own network -----------------------------------------------------------------------------------

    def note_local_failure(self, int slot, int64_t window_ms) -> bool:
        """An attempt on the endpoint failed before it answered anything; True if none had within the window."""
        cdef EndpointRow* row = self._endpoint(slot)
        cdef int64_t now = monotonic_ns()
        cdef int64_t before = wp_load64(&row.local_failed)
        wp_store64(&row.local_failed, now)
        return before == 0 or before < now - window_ms * 1_000_000

    def reach(self, int64_t window_ms) -> tuple:
        """(endpoints this replica had to do with lately, those among them that failed without an answer) as counts."""
        cdef int64_t since = monotonic_ns() - window_ms * 1_000_000
        cdef EndpointRow* row
        cdef int slot, failed, contacted = 0, unreachable = 0
        for slot in range(wp_load(&self.header.endpoints_high)):
            row = self.endpoint_rows + slot
            if not wp_load(&row.used):
                continue
            failed = wp_load64(&row.local_failed) > since
            unreachable += failed
            contacted += failed or wp_load64(&row.answered) > since
        return contacted, unreachable

    # -- overflows and versions ---------------------------------------------------------------------------------------

    def note_overflow(self, int slot, int64_t now_ms, int64_t every_ms) -> bool:
        """True if the endpoint's overflow was not noted within `every_ms`; notes it. Under the cluster's lock."""
        cdef EndpointRow* row = self._endpoint(slot)
        if row.overflow_noted and now_ms - row.overflow_noted < every_ms:
            return False
        row.overflow_noted = now_ms
        return True

    def fleet_version(self, int slot) -> tuple:
        """(version, epoch) of the cluster's shared state as last read; epoch "" before that."""
        cdef ClusterRow* row = self._cluster(slot)
        return row.version, row.epoch.decode()

    def set_fleet_version(self, int slot, version, str epoch) -> None:
        cdef ClusterRow* row = self._cluster(slot)
        row.version = version
        copy_text(row.epoch, sizeof(row.epoch), epoch)

    def alone(self, int slot) -> bool:
        """True: this replica decides about the cluster by itself, whatever it does about the others."""
        return wp_load(&self._cluster(slot).alone) != 0

    def set_alone(self, int slot, bint value) -> bool:
        """True for the one caller of all workers that changed it."""
        return wp_swap(&self._cluster(slot).alone, not value, value)


cdef bint take_probe(EndpointRow* row) noexcept nogil:
    """One request takes what was offered."""
    return wp_load(&row.probe) == PROBE_OFFERED and wp_swap(&row.probe, PROBE_OFFERED, PROBE_TAKEN)


cdef int taken(pthread_mutex_t* mutex, int failed) except -1:
    """What became of an attempt to take a lock; its holder may have died."""
    if failed == EOWNERDEAD:
        pthread_mutex_consistent(mutex)
    elif failed:
        raise OSError(failed, "scoreboard lock")
    return 0


cdef int init_mutex(pthread_mutex_t* mutex) except -1:
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
