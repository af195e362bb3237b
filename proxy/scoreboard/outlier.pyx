"""Outlier state of endpoints: whole, as transitions read and write it under the cluster's lock, and what can be seen of
it without: who is out, who is back."""

from libc.stdint cimport INT32_MAX, int64_t, uint32_t

from proxy.scoreboard.atomics cimport wp_load64, wp_loadu, wp_move, wp_store, wp_store64, wp_storeu
from proxy.scoreboard.layout cimport HELD, LOGGED, NO_PROBE, PRIVATE, SHARED, EndpointRow
from proxy.scoreboard.memory cimport copy_text

from proxy.scoreboard.views import OutlierState

# Longer than any time limit, and still a number of nanoseconds in 64 bits (more than 200 years).
cdef int64_t FOREVER_MS = 8_000_000_000_000


cdef class Outlier:
    """`slot` and `slots` are endpoints' everywhere. KeyError where there is none."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def state(self, int slot) -> OutlierState:
        """All of it; consistent only under the cluster's lock."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        return OutlierState(
            row.failures, row.generation, row.ejections, row.backoff, row.ejected_until // 1_000_000, row.ejection_ms,
            row.unejected_at // 1_000_000, row.run, bool(row.flags & HELD), bool(row.flags & LOGGED),
            bool(row.flags & SHARED), bool(row.dirty), row.version, bool(row.flags & PRIVATE),
            row.probe_at // 1_000_000, row.reason.decode(errors="replace"), row.by.decode(errors="replace"),
            row.local_failures, row.gateway_failures, row.gateway_local_failures, row.local_origin_failures)

    def set_state(self, int slot, object state) -> None:
        """Writes a whole OutlierState; the deadline last, since it alone takes the endpoint out or back, and then that
        there is another one."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        cdef int64_t until = within(state.ejected_until_ms, FOREVER_MS) * 1_000_000
        if state.failures and not row.failures:
            row.run_began = self.memory.now()
        row.failures = within(state.failures, INT32_MAX)
        row.local_failures = within(state.local_failures, INT32_MAX)
        row.gateway_failures = within(state.gateway_failures, INT32_MAX)
        row.gateway_local_failures = within(state.gateway_local_failures, INT32_MAX)
        row.local_origin_failures = within(state.local_origin_failures, INT32_MAX)
        row.ejections = within(state.ejections, INT32_MAX)
        row.backoff = within(state.backoff, INT32_MAX)
        row.ejection_ms = within(state.ejection_ms, FOREVER_MS)
        row.unejected_at = within(state.unejected_at_ms, FOREVER_MS) * 1_000_000
        row.run = within(state.run, INT32_MAX)
        row.version = state.version
        row.flags = ((HELD if state.held else 0) | (LOGGED if state.logged else 0) | (SHARED if state.shared else 0)
                     | (PRIVATE if state.private else 0))
        row.probe_at = within(state.probe_at_ms, FOREVER_MS) * 1_000_000
        copy_text(row.reason, sizeof(row.reason), state.reason)
        copy_text(row.by, sizeof(row.by), state.by)
        if state.dirty and (row.failures or not row.dirty):
            row.dirtied = self.memory.now()
        wp_storeu(&row.dirty, state.dirty)
        if row.generation != state.generation or not state.ejected_until_ms:
            wp_store(&row.probe, NO_PROBE)      # it was one of another ejection
        wp_storeu(&row.generation, <uint32_t>within(state.generation, INT32_MAX))
        if row.ejected_until != until:
            wp_store64(&row.ejected_until, until)
            wp_move(&self.memory.cluster_rows[row.cluster].changes)

    def mark_dirty(self, int slot) -> None:
        """Somebody counts failures of the endpoint, since now at the latest. Under the cluster's lock."""
        dirty_from_now(self.memory.endpoint(slot), self.memory.now())

    def dirtied_since(self, int slot, int64_t since_ms) -> bool:
        """Whether the endpoint is dirty, and was said to be in or after that millisecond (CLOCK_MONOTONIC)."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        return row.dirty != 0 and row.dirtied >= since_ms * 1_000_000

    def note_success(self, int slot) -> bool:
        """What an attempt on the endpoint does that succeeded (relay/exchange/attempt.pyx): whether it is to be told."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        wp_store64(&row.succeeded, self.memory.now())
        return wp_loadu(&row.dirty) != 0 or wp_loadu(&row.witnessed) != 0

    def succeeded_untold(self, int slot, int64_t since_ns, int64_t counted_ns) -> bool:
        """Whether an attempt on the endpoint succeeded since then (CLOCK_MONOTONIC), and Redis was not told, or before it
        had counted what happened then. To be asked before `mark_dirty`."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        cdef int64_t succeeded = wp_load64(&row.succeeded)
        cdef bint told = row.dirty and succeeded >= row.dirtied and succeeded >= counted_ns
        return 0 < succeeded >= since_ns and not told

    def note_overflow(self, int slot, int64_t now_ms, int64_t every_ms) -> bool:
        """True if the endpoint's overflow was not noted within `every_ms`; notes it. Under the cluster's lock."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        if row.overflow_noted and now_ms - row.overflow_noted < every_ms:
            return False
        row.overflow_noted = now_ms
        return True

    def run_began_ms(self, int slot) -> int:
        """When the first failure of this replica's run was counted."""
        return self.memory.endpoint(slot).run_began // 1_000_000

    # -- who tells of it ----------------------------------------------------------------------------------------------

    def set_witnesses(self, int slot, int64_t until_ms, int64_t witnesses, int of, bint ours) -> None:
        """Till then only the witnesses that follow from the number, of so many replicas, tell the fleet of its outcomes;
        `ours`: a worker of this replica is one. Under the cluster's lock."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        row.witnesses, row.witnesses_of = witnesses, of
        wp_store64(&row.witnesses_until, until_ms * 1_000_000)
        wp_storeu(&row.witnessed, ours)

    def witnesses(self, int slot) -> tuple | None:
        """(the number, of how many replicas); None if everybody tells."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        cdef int64_t until = wp_load64(&row.witnesses_until)
        if until == 0:
            return None
        if until <= self.memory.now():
            wp_storeu(&row.witnessed, 0)
            return None
        return None if row.asked else (row.witnesses, row.witnesses_of)

    def set_asked(self, int slot, bint asked) -> None:
        """The fleet is asked who has seen a success; or that is answered."""
        self.memory.endpoint(slot).asked = asked

    def is_asked(self, int slot) -> bool:
        """It is not answered yet, as far as is known here."""
        return self.memory.endpoint(slot).asked != 0

    # -- who is out ---------------------------------------------------------------------------------------------------

    def count_ejected(self, object slots) -> int:
        """How many of these endpoints are out now."""
        cdef int64_t now = self.memory.now()
        cdef int slot
        cdef int total = 0
        for slot in slots:
            total += wp_load64(&self.memory.endpoint(slot).ejected_until) > now
        return total

    def count_shared(self, object slots) -> int:
        """How many of these endpoints are out now as Redis knows."""
        cdef int64_t now = self.memory.now()
        cdef EndpointRow* row
        cdef int slot
        cdef int total = 0
        for slot in slots:
            row = self.memory.endpoint(slot)
            total += wp_load64(&row.ejected_until) > now and row.flags & SHARED != 0
        return total

    def undecided(self, object slots) -> list:
        """Those of these endpoints that are out now without Redis knowing of it, though it should."""
        cdef int64_t now = self.memory.now()
        cdef EndpointRow* row
        cdef int slot
        found = []
        for slot in slots:
            row = self.memory.endpoint(slot)
            if wp_load64(&row.ejected_until) > now and not row.flags & (SHARED | PRIVATE):
                found.append(slot)
        return found

    def returns(self, object slots) -> tuple:
        """(slots whose ejection has ended but is not noted yet, ms until the next one ends or -1) of these
        endpoints."""
        cdef int64_t now = self.memory.now()
        cdef int64_t until, soonest = -1
        cdef int slot
        over = []
        for slot in slots:
            until = wp_load64(&self.memory.endpoint(slot).ejected_until)
            if until == 0:
                continue
            if until <= now:
                over.append(slot)
            elif soonest < 0 or until - now < soonest:
                soonest = until - now
        return over, soonest if soonest < 0 else soonest // 1_000_000 + 1


cdef void dirty_from_now(EndpointRow* row, int64_t now) noexcept nogil:
    """Its successes matter, and news of one elsewhere do not change that; whoever finds it dirty finds since when."""
    wp_store64(&row.dirtied, now)
    wp_storeu(&row.dirty, 1)


cdef int64_t within(object value, int64_t most) except -1:
    """The value, if need be cut down to what fits: some numbers come from texts that anybody can write into the
    store."""
    return 0 if value < 0 else most if value > most else <int64_t>value
