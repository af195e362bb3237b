"""An ejection as Redis tells it, in a verdict, an event or a view. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from state.outlier.events import Event
from state.outlier.store import CONSECUTIVE_5XX, NO_PROBE, ClusterView, Ejection, Verdict


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
    cause: str = ""  # why attempts failed: words separated by commas

    def probe_at_ms(self, asked_ms: int) -> int:
        """From when on it may be probed, as it was told at `asked_ms`; 0: it comes back by itself."""
        return 0 if self.probe_in_ms == NO_PROBE else asked_ms + self.probe_in_ms

    def begun_ms(self, asked_ms: int) -> int:
        """When the ejection began."""
        return (self.probe_at_ms(asked_ms) or asked_ms + self.left_ms) - self.ejection_ms


def known_of(told: Verdict | Event | Ejection, version: int, otherwise: str = CONSECUTIVE_5XX) -> Known:
    """What was told, at that version; `otherwise` is the reason if none was told."""
    return Known(
        left_ms=told.left_ms,
        ejection_ms=told.ejection_ms,
        generation=told.generation,
        failures=told.failures,
        ejections=told.ejections,
        backoff=told.backoff,
        probe_in_ms=told.probe_in_ms,
        by=told.by,
        reason=told.reason or otherwise,
        version=version,
        cause=told.cause,
    )


def merged(views: Sequence[ClusterView]) -> ClusterView:
    """Parts of a cluster, read one after the other, as one view: as new as its oldest part."""
    return replace(
        views[0],
        ejections=tuple(ejection for view in views for ejection in view.ejections),
        dirty={endpoint: failures for view in views for endpoint, failures in view.dirty.items()},
        gone_back=any(view.gone_back for view in views),
        generations={endpoint: known for view in views for endpoint, known in view.generations.items()},
    )
