from collections.abc import Callable
from typing import Any

from proxy.observe.access_log import AccessLog
from proxy.relay.context.drain import Drain
from proxy.relay.context.tallies import Tallies
from proxy.relay.context.timeouts import Timeouts
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.wire.tls.mesh import MeshTls

class Context:
    timeouts: Timeouts
    drain: Drain
    mesh: MeshTls | None
    tunnels: bool
    tallies: Tallies | None
    nudge: Callable[[int], None] | None
    def __init__(self, scoreboard: Scoreboard, worker: int, log: AccessLog, fleet: Any, timeouts: Timeouts) -> None: ...
    def normalize_paths(self, mode: str) -> None: ...
