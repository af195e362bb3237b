from typing import Any

from proxy.observe.access_log import AccessLog
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.wire.stream import Deadlines
from proxy.wire.tls.mesh import MeshTls

class Context:
    idle: Deadlines
    draining: bool
    mesh: MeshTls | None
    tunnels: bool
    def __init__(
        self, scoreboard: Scoreboard, worker: int, log: AccessLog, fleet: Any, limits: dict[str, float]
    ) -> None: ...
    def tick(self) -> None: ...
    def shutdown_sessions(self) -> None: ...
    def refuse_streams(self) -> None: ...
