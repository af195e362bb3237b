"""Recovery by probe: an endpoint that is out is offered to one request, and what that says is its end.

NO_PROBE -> PROBE_OFFERED (`offer`) -> PROBE_TAKEN (`take`) -> NO_PROBE (`end`); `withdraw` goes back from the second to
the first. Each step succeeds for one caller of all workers.
"""

from libc.stdint cimport int64_t

from proxy.scoreboard.atomics cimport wp_load, wp_move, wp_store, wp_swap
from proxy.scoreboard.layout cimport NO_PROBE, PROBE_OFFERED, PROBE_TAKEN
from proxy.scoreboard.outlier cimport dirty_from_now


cdef class Probes:
    """`slot` and `slots` are endpoints' everywhere. KeyError where there is none."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def offer(self, int slot) -> None:
        """The next request for the cluster, whichever worker has it, tries this endpoint although it is out."""
        cdef EndpointRow* row = self.memory.endpoint(slot)
        dirty_from_now(row, self.memory.now())
        wp_store(&row.probe, PROBE_OFFERED)
        wp_move(&self.memory.cluster_rows[row.cluster].changes)

    def take(self, int slot) -> bool:
        """Whether the caller's request is the one that tries it."""
        return take_probe(self.memory.endpoint(slot))

    def withdraw(self, int slot) -> bool:
        """True if no request had come that could try it."""
        return wp_swap(&self.memory.endpoint(slot).probe, PROBE_OFFERED, NO_PROBE)

    def end(self, int slot) -> bool:
        """The request that tried the endpoint has said something; True for the first one to tell."""
        return wp_swap(&self.memory.endpoint(slot).probe, PROBE_TAKEN, NO_PROBE)

    def pending(self, int slot) -> bool:
        """Whether a request may or does try the endpoint now."""
        return wp_load(&self.memory.endpoint(slot).probe) != NO_PROBE

    def awaited(self, object slots) -> list:
        """Those of these endpoints that are out until a probe succeeds."""
        cdef int64_t now = self.memory.now()
        cdef EndpointRow* row
        cdef int slot
        found = []
        for slot in slots:
            row = self.memory.endpoint(slot)
            if row.probe_at and row.ejected_until > now:
                found.append(slot)
        return found


cdef bint take_probe(EndpointRow* row) noexcept nogil:
    """One request takes what was offered."""
    return wp_load(&row.probe) == PROBE_OFFERED and wp_swap(&row.probe, PROBE_OFFERED, PROBE_TAKEN)
