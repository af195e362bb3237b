from typing import Any

class Backend:
    cluster: str
    status: int
    def __init__(self, rule: dict[str, Any], form: dict[str, Any]) -> None: ...

class Rule:
    name: bytes
    problem: str
    backends: list[Backend]
    def __init__(self, form: Any) -> None: ...
