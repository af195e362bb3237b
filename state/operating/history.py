"""What happened, as scripts wrote it into a cluster's stream (`log` in common.lua), read back. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from state.keys import text_of, word
from state.outlier.rates import FAILURE_PERCENTAGE, SUCCESS_RATE
from state.outlier.store import is_by_hand

RATES = (SUCCESS_RATE, FAILURE_PERCENTAGE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `kind`: "eject", "uneject", "overflow", "detected", "by_hand", "disagree"; `why`: of an ejection the
    rule, of "by_hand" what the hand did ("ejected", "unejected", "changed")."""

    id: str  # in the cluster's stream
    time_ms: int  # on the clock of Redis, since 1970
    cluster: str
    kind: str
    endpoint: str
    workload: str
    why: str
    by: str
    reason: str  # what a hand said; of RATES, in words; of an ejection that was offered, what for
    consecutive_5xx: int  # the run that did it
    ejections: int
    backoff: int
    ejection_time: str  # "30s", "forever"
    generation: int
    evidence: tuple[str, ...]  # the last failures, "cause@replica/request-id"

    @property
    def rule(self) -> str:
        """Of an ejection that was offered: which threshold or rate it was for; "" of a hand's, and of another."""
        if self.why != "offered" or is_by_hand(self.reason or "consecutive_5xx"):
            return ""
        return f"{self.reason or 'consecutive_5xx'}={self.consecutive_5xx}"

    @property
    def place(self) -> tuple[int, int]:
        """Its place in time among the entries of all clusters."""
        return self.time_ms, _number(self.id.partition("-")[2])


def entry(cluster: str, id: str, fields: Mapping[str, str]) -> Entry:
    """The entry that stands in the stream; what is missing or no number reads as nothing."""
    return Entry(
        id=id,
        time_ms=_number(id.partition("-")[0]),
        cluster=cluster,
        kind=fields.get("kind", ""),
        endpoint=text_of(fields.get("endpoint", "")),
        workload=text_of(fields.get("workload", "")),
        why=text_of(fields.get("why", "")),
        by=text_of(fields.get("by", "")),
        reason=text_of(fields.get("reason", "")),
        consecutive_5xx=_number(fields.get("consecutive_5xx", "")),
        ejections=_number(fields.get("ejections", "")),
        backoff=_number(fields.get("backoff", "")),
        ejection_time=fields.get("ejection_time", ""),
        generation=_number(fields.get("generation", "")),
        evidence=evidence_of(fields.get("evidence", "")),
    )


def evidence_of(text: str) -> tuple[str, ...]:
    """Failures as they are kept, separated by commas."""
    return tuple(text_of(each) for each in text.split(",") if each)


def shown(evidence: Sequence[str]) -> str:
    """Failures side by side. A request id is a client's: each stays one word, or it could tell of others."""
    return " ".join(map(word, evidence))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
