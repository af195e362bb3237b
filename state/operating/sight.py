"""One endpoint as its keys show it to people, read without changing anything. Pure.

The eject key is the truth for "is it ejected"; the hash tells the rest, and may be behind: a hand has written the key
and no script has looked since.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from state.constants import PROBE_AWAITED_MS
from state.keys import text_of
from state.outlier.decide import Record
from state.outlier.rates import SUCCESS_RATE
from state.outlier.store import BY_HAND

ENDLESS = -1  # PTTL of a key without an expiry


@dataclass(frozen=True, slots=True)
class Out:
    """One endpoint that takes no traffic."""

    cluster: str
    endpoint: str
    workload: str
    why: str
    by: str
    left_s: float | None  # None: until somebody puts it back
    key: str
    probe_in_s: float | None = None  # with recovery by probe: until it may be tried, 0: it waits for a request
    only_here: bool = False  # not known to Redis: the replica that was asked decides by itself, or for itself
    absent: bool = False  # no replica has it in the cluster: it is out should it come back, and the cap leaves it out


@dataclass(frozen=True, slots=True)
class Seen:
    """One endpoint at `now_ms`, on the clock of Redis."""

    endpoint: str
    now_ms: int
    left: int  # PTTL of the eject key
    text: str  # of the eject key
    fields: Mapping[str, str]  # of the hash
    absent: bool = False  # no replica has it in the cluster

    @property
    def ejected(self) -> bool:
        """Whether it is out."""
        return self.left == ENDLESS or self.left > 0

    @property
    def left_s(self) -> float | None:
        """Seconds until it is back (with recovery by probe: at the latest), None: never by itself."""
        return None if self.left == ENDLESS else max(0, self.left) / 1000

    @property
    def probe_in_ms(self) -> int | None:
        """Until it may be probed, None: it comes back by itself. By what the last script wrote: the key ends
        PROBE_AWAITED_MS after the moment from which on a probe is due."""
        due = self.ejected and self.left != ENDLESS and self.number("probe_at_ms")
        return max(0, self.left - PROBE_AWAITED_MS) if due else None

    def number(self, name: str) -> int:
        """A field of the hash."""
        text = self.fields.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else 0

    def word(self, name: str) -> str:
        """A field of the hash."""
        return text_of(self.fields.get(name, ""))

    def names(self, name: str) -> tuple[str, ...]:
        """A field that lists replicas."""
        return tuple(text_of(each) for each in self.fields.get(name, "").split(",") if each)

    @property
    def why(self) -> str:
        """What ejected it: `consecutive_5xx=3`, `probe_failed`, or what a hand wrote."""
        words = self._words()
        why = words.get("reason", BY_HAND)
        counted = words.get(why, "0") != "0" or (why == SUCCESS_RATE and why in words)
        return f"{why}={words[why]}" if counted else why

    @property
    def by(self) -> str:
        """Who ejected it, "-" if that is not said."""
        return self._words().get("by", "-")

    @property
    def workload(self) -> str:
        """Whose ejection it is, or whose record; "" when not known."""
        return self._words().get("workload", "") or self.word("workload")

    def _words(self) -> dict[str, str]:
        pairs = (word.partition("=") for word in self.text.split())
        return {name: text_of(text) for name, _, text in pairs if text}

    def record(self) -> Record:
        """What the next ejection would be judged by."""
        return Record(backoff=self.number("backoff"), unejected_at_ms=self.number("unejected_at_ms"))

    def out(self, cluster: str, key: str, workload: str) -> Out:
        """As a row of a list of what is out. `workload` has the address, as far as is known; an ejection by hand names
        none."""
        probe_in_ms = self.probe_in_ms
        return Out(
            cluster=cluster,
            endpoint=self.endpoint,
            workload=self.workload or workload or "-",
            why=self.why,
            by=self.by,
            left_s=self.left_s,
            key=key,
            probe_in_s=None if probe_in_ms is None else probe_in_ms / 1000,
            absent=self.absent,
        )
