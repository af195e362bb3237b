"""Counters of what configuration names: routes, policies, limits. Each worker has rows of its own, which it fills one
after the other and alone adds to; so counting is an addition in memory that nobody else writes, by whoever has looked up
once where. What is read are the sums over all workers, dead ones too, whose successors go on in the same rows.

A row is found by its text: what it counts, and the values of its labels, with NULs between. Rows are not taken back. What
finds no room, or has too long a text, is counted in the first row, which has none.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from proxy.scoreboard.atomics cimport wp_load, wp_load64, wp_store
from proxy.scoreboard.layout cimport COUNT_TEXT, COUNTS, Count

LIMIT = COUNTS - 1
LONGEST = COUNT_TEXT


cdef class Counts:
    """`text` is never empty."""

    def __init__(self, Memory memory not None):
        self.memory, self.known = memory, {}

    cdef int64_t* of(self, int worker, bytes text) except NULL:
        """Where a worker counts it, for good."""
        cdef dict known = self.known.get(worker)
        cdef Count* row = self.memory.count_of(worker, 0)
        if known is None:
            known = self.known[worker] = self.read(worker)
        at = known.get(text)
        if at is None and len(known) < COUNTS - 1 and len(text) <= COUNT_TEXT:
            at = known[text] = len(known) + 1
            memcpy(row[<int>at].text, <const char*>text, len(text))
            wp_store(&row[<int>at].length, len(text))
        return &row[<int>(at or 0)].value

    cdef dict read(self, int worker):
        """The rows that it has, by their texts."""
        cdef Count* row = self.memory.count_of(worker, 0)
        cdef dict found = {}
        cdef int at = 1, length
        while at < COUNTS:
            length = wp_load(&row[at].length)
            if length == 0:
                break
            found[row[at].text[:length]] = at
            at += 1
        return found

    def add(self, int worker, bytes text, int64_t count) -> None:
        """So many more."""
        self.of(worker, text)[0] += count

    def totals(self) -> dict[bytes, int]:
        """What all workers have counted, by text; under b"" what found no room."""
        cdef int worker
        cdef dict found = {b"": 0}
        for worker in range(wp_load(&self.memory.header.workers_high)):
            found[b""] += wp_load64(&self.memory.count_of(worker, 0).value)
            for text, at in self.read(worker).items():
                found[text] = found.get(text, 0) + wp_load64(&self.memory.count_of(worker, at).value)
        return found
