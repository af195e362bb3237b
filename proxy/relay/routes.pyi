from collections.abc import Callable
from typing import Any

class Routes:
    def __init__(
        self,
        table: dict[bytes, Any] | None = None,
        clusters: list[Any] | None = None,
        pin: Callable[[Any, Any], Any] | None = None,
    ) -> None: ...
