from typing import Any

from proxy.observe.access_log import AccessLog
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.wire.mesh_tls import MeshTls
from proxy.wire.stream import Deadlines

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
