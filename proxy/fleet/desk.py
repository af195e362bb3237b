"""What all that one worker does for the fleet's state works with, made once (wiring.py) and handed to each part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.ejections import Ejections
from proxy.fleet.loop import Loop
from proxy.fleet.outbox import Outbox
from proxy.fleet.pace import Pace
from proxy.scoreboard.scoreboard import Scoreboard
from state.outlier.store import Reports, SharedStore
from state.rate_limits.store import Lender
from state.server.preflight import Problem
from state.shares.store import Sharer
from state.warmup.store import Register


@dataclass(frozen=True, slots=True)
class Desk:
    """`clusters` is the worker's present view of the snapshot: the door changes it, the others read it."""

    scoreboard: Scoreboard
    worker: int
    replica: str
    loop: Loop
    clusters: dict[str, Cluster]
    ejections: Ejections
    outbox: Outbox
    pace: Pace = field(default_factory=Pace)
    mesh: str = ""  # which one this is, as far as anybody has said

    def present(self, cluster: Cluster, endpoint: Endpoint) -> Cluster | None:
        """The cluster as it is now, if the endpoint is still in it.

        To be asked after everything that takes time: a snapshot may have come, and the endpoint's row been given away.
        """
        now = self.clusters.get(cluster.name)
        return now if now is not None and now.by_slot.get(endpoint.slot) == endpoint else None


@dataclass(frozen=True, slots=True)
class Links:
    """The ways to Redis. Reports have one of their own, so that none ever waits for a new connection because the leader
    is using the one there is."""

    reports: Reports
    store: SharedStore
    forget_connections: Callable[[], None]
    """Those of `reports` that nobody uses just now: they may lead to a primary that is none any more."""
    problems: Callable[[], Sequence[Problem]]
    """What is wrong with the servers there are (state/server/preflight.py)."""
    moved: Callable[[], bool]
    """Whether Sentinels have made another Redis the primary."""
    lender: Lender
    """Of requests under a rate limit of the fleet's."""
    sharer: Sharer
    """Of limits of clusters that are the fleet's."""
    register: Register
    """Of endpoints that warm up."""
