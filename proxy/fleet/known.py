"""An ejection as Redis tells it, in a verdict, an event or a view. Pure."""

from dataclasses import dataclass

from state.events import Event
from state.store import CONSECUTIVE_5XX, Ejection, Verdict


@dataclass(frozen=True, slots=True)
class Known:
    """`version` is the cluster's at the moment the store said so; of two tellings the higher one is the newer."""

    left_ms: int
    ejection_ms: int
    generation: int
    failures: int
    ejections: int
    backoff: int
    probe_in_ms: int
    by: str
    reason: str
    version: int


def known_of(told: Verdict | Event | Ejection, version: int, reason: str = CONSECUTIVE_5XX) -> Known:
    """What was told, at that version, for that reason."""
    return Known(
        left_ms=told.left_ms,
        ejection_ms=told.ejection_ms,
        generation=told.generation,
        failures=told.failures,
        ejections=told.ejections,
        backoff=told.backoff,
        probe_in_ms=told.probe_in_ms,
        by=told.by,
        reason=reason,
        version=version,
    )
