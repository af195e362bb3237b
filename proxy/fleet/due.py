"""When the leader is to read a cluster completely, though a look at it may tell of nothing new.

A look sees who is ejected, not that an ejection ended by itself (the entry in the stream is written by whoever reads
the record next), nor that a hand has changed its time, nor that the rule, kept for people, is about to be forgotten.
"""

from collections.abc import Mapping

from state.constants import ENDLESS_MS
from state.outlier.store import ClusterView, Glance

# An ejection that has ended here has ended in Redis too so much later; the entry follows at the leader's next turn.
AFTERWARDS_MS = 200
# The rule is told anew so often at least; Redis keeps it for a week.
RETELL_MS = 3_600_000
# Two looks give one end of an ejection so exactly, as long as nobody has changed it.
EXACT_MS = 500


class Due:
    """By names of clusters; times are CLOCK_MONOTONIC, in milliseconds."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._ends: dict[str, dict[str, int]] = {}  # cluster -> endpoint -> when Redis ends its ejection

    def at(self, name: str) -> int:
        """When; 0: at once."""
        return self._due.get(name, 0)

    def ends(self, name: str, at_ms: int) -> None:
        """An ejection will end, or has ended, at that time."""
        self._due[name] = min(self.at(name), at_ms + AFTERWARDS_MS)

    def read(self, name: str, view: ClusterView, asked_ms: int) -> None:
        """Everything has been read."""
        self._ends.pop(name, None)
        ends = (asked_ms + each.left_ms + AFTERWARDS_MS for each in view.ejections)
        self._due[name] = min([asked_ms + RETELL_MS, *ends])

    def moved(self, name: str, glance: Glance, asked_ms: int, own: Mapping[str, int]) -> bool:
        """Whether a look shows that an ejection ends at another time than it did at the look before, or than `own`
        says, for what was not seen before. (Not always by `own`: the clock of Redis may have been set.)"""
        known = {each: min(at_ms, ENDLESS_MS) for each, at_ms in own.items()} | self._ends.get(name, {})
        ends = {each: min(asked_ms + left_ms, ENDLESS_MS) for each, left_ms in glance.left_ms.items()}
        self._ends[name] = ends
        return any(abs(known[each] - at_ms) > EXACT_MS for each, at_ms in ends.items() if each in known)

    def retain(self, names: Mapping[str, object]) -> None:
        """Forgets clusters that are gone."""
        for known in (self._due, self._ends):
            for name in known.keys() - names.keys():
                del known[name]
