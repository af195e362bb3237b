from typing import Any

from proxy.observe.access_log import AccessLog
from proxy.scoreboard import Scoreboard
from proxy.wire.stream import Deadlines

class Context:
    idle: Deadlines
    draining: bool
    def __init__(
        self, scoreboard: Scoreboard, worker: int, log: AccessLog, fleet: Any, limits: dict[str, float]
    ) -> None: ...
    def tick(self) -> None: ...
