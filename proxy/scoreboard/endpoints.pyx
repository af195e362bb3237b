"""Endpoints on the scoreboard: their slots, what each looks like now, and how many of them this replica reaches."""

from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memset

from proxy.scoreboard.atomics cimport wp_add64, wp_load, wp_load64, wp_store, wp_store64
from proxy.scoreboard.layout cimport ENDPOINTS, HELD, KEPT_CAUSES, LOGGED, PRIVATE, EndpointRow
from proxy.scoreboard.memory cimport copy_text

from proxy.scoreboard.views import EndpointView


cdef class Endpoints:
    """`slot` is what `add` gave out. KeyError where there is no endpoint in it. One process adds and removes."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def add(self, int cluster, str address, str workload) -> int:
        """Gives out a slot for an endpoint of the cluster, with a clean record. MemoryError when all are used."""
        cdef int slot, lowest = -1
        cdef EndpointRow* row
        self.memory.cluster(cluster)
        for slot in range(self.lowest, ENDPOINTS):
            row = self.memory.endpoint_rows + slot
            if row.used:
                continue
            if wp_load(&row.in_flight):     # attempts under way on what was removed still write there
                lowest = slot if lowest < 0 else lowest
                continue
            memset(row, 0, sizeof(EndpointRow))
            row.cluster = cluster
            copy_text(row.address, sizeof(row.address), address)
            copy_text(row.workload, sizeof(row.workload), workload)
            row.since = self.memory.now()
            wp_store(&row.used, 1)
            if slot >= self.memory.header.endpoints_high:
                wp_store(&self.memory.header.endpoints_high, slot + 1)
            self.lowest = slot + 1 if lowest < 0 else lowest
            return slot
        raise MemoryError("the scoreboard is full: more than %d endpoints" % ENDPOINTS)

    def remove(self, int slot) -> None:
        """Takes the slot back; no worker may use it any more."""
        self.memory.endpoint(slot).used = 0
        self.lowest = min(self.lowest, slot)

    def slots(self) -> dict:
        """(cluster slot, address, workload) -> slot of every endpoint there is."""
        cdef EndpointRow* row
        cdef int slot
        found = {}
        for slot in range(self.memory.header.endpoints_high):
            row = self.memory.endpoint_rows + slot
            if row.used:
                found[row.cluster, row.address.decode(), row.workload.decode()] = slot
        return found

    def row(self, int slot) -> EndpointView:
        cdef EndpointRow* row = self.memory.endpoint(slot)
        cdef int64_t left = wp_load64(&row.ejected_until) - self.memory.now()
        return EndpointView(
            wp_load(&row.in_flight), row.requests, row.failed, row.generation, max(0, (left + 999_999) // 1_000_000),
            bool(row.flags & HELD), bool(row.flags & LOGGED), bool(row.dirty), row.failures, row.ejections, row.backoff,
            row.ejection_ms, bool(row.flags & PRIVATE),
            max(0, (row.probe_at - self.memory.now()) // 1_000_000) if row.probe_at else -1)

    def by_cluster(self) -> dict:
        """Slot of each cluster that has endpoints -> (how many of them are out, attempts that run on them)."""
        cdef EndpointRow* row
        cdef int slot
        cdef int64_t now = self.memory.now()
        found = {}
        for slot in range(wp_load(&self.memory.header.endpoints_high)):
            row = self.memory.endpoint_rows + slot
            if wp_load(&row.used):
                out, running = found.get(row.cluster, (0, 0))
                found[row.cluster] = out + (wp_load64(&row.ejected_until) > now), running + wp_load(&row.in_flight)
        return found

    # -- why it failed --------------------------------------------------------------------------------------------------

    def age_ms(self, int slot) -> int:
        """How long ago it was seen first, as far as is known here."""
        return max(0, self.memory.now() - wp_load64(&self.memory.endpoint(slot).since)) // 1_000_000

    def note_age(self, int slot, int64_t age_ms) -> None:
        """Somebody else has seen it so long ago."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        wp_store64(&row.since, min(wp_load64(&row.since), self.memory.now() - age_ms * 1_000_000))

    def note_cause(self, int slot, int cause) -> None:
        """A failure of the endpoint is counted. Two workers at once may take each other's place: people read this."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        row.causes[row.caused % KEPT_CAUSES] = <uint16_t>cause
        row.caused += 1

    def causes(self, int slot, int count) -> list:
        """Of the last `count` failures, as far as they are kept, the oldest first."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        cdef uint32_t caused = row.caused
        cdef uint32_t kept = min(<uint32_t>max(count, 0), caused, <uint32_t>KEPT_CAUSES)
        return [row.causes[at % KEPT_CAUSES] for at in range(caused - kept, caused)]

    # -- how many of its attempts failed --------------------------------------------------------------------------------

    def note_outcome(self, int slot, bint success) -> None:
        """What an attempt on the endpoint does where the rule goes by rates (relay/exchange/attempt.pyx)."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        wp_add64(&row.well if success else &row.badly, 1)

    def take_rates(self, object slots) -> dict:
        """Slot -> (successes, failures) of these endpoints since that was asked last; those with none are left out. One
        process asks at a time: the leader."""
        cdef EndpointRow* row
        cdef int slot
        cdef int64_t well, badly
        found = {}
        for slot in slots:
            row = self.memory.endpoint(slot)
            well, badly = wp_load64(&row.well), wp_load64(&row.badly)
            if well != row.well_told or badly != row.badly_told:
                found[slot] = well - row.well_told, badly - row.badly_told
                row.well_told, row.badly_told = well, badly
        return found

    # -- this replica's own network -----------------------------------------------------------------------------------

    def note_local_failure(self, int slot, int64_t window_ms, int cause=0) -> bool:
        """An attempt on the endpoint failed before it answered anything; True if none had within the window."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        cdef int64_t now = self.memory.now()
        cdef int64_t before = wp_load64(&row.local_failed)
        wp_store(&row.local_cause, cause)
        wp_store64(&row.local_failed, now)
        return before == 0 or before < now - window_ms * 1_000_000

    def note_heard(self, int slot) -> None:
        """The endpoint's side was reached, and said that there is no answer."""
        wp_store64(&self.memory.endpoint(slot).heard, self.memory.now())

    def unreachable(self, int64_t window_ms) -> list:
        """The causes, one for each endpoint that lately failed without an answer."""
        cdef int64_t since = self.memory.now() - window_ms * 1_000_000
        cdef EndpointRow* row
        cdef int slot
        found = []
        for slot in range(wp_load(&self.memory.header.endpoints_high)):
            row = self.memory.endpoint_rows + slot
            if wp_load(&row.used) and wp_load64(&row.local_failed) > since:
                found.append(wp_load(&row.local_cause))
        return found

    def reach(self, int64_t window_ms) -> tuple:
        """(endpoints this replica had to do with lately, those among them that failed without an answer) as counts."""
        cdef int64_t since = self.memory.now() - window_ms * 1_000_000
        cdef EndpointRow* row
        cdef int slot, failed, contacted = 0, unreachable = 0
        for slot in range(wp_load(&self.memory.header.endpoints_high)):
            row = self.memory.endpoint_rows + slot
            if not wp_load(&row.used):
                continue
            failed = wp_load64(&row.local_failed) > since
            unreachable += failed
            contacted += failed or wp_load64(&row.answered) > since or wp_load64(&row.heard) > since
        return contacted, unreachable
