from proxy.ipc.snapshot import AccessForm
from proxy.policy.shapes import Asked

class CompiledAccess:
    def __init__(self, form: AccessForm) -> None: ...
    def decide(self, asked: Asked) -> int: ...

def normalised(path: bytes, mode: int = 0) -> bytes | None: ...

class Judge:
    def __init__(self, form: AccessForm, port: int) -> None: ...
    def refuses(
        self,
        request: bytes,
        identity: bytes | None,
        peer: bytes,
        target: bytes,
        claims: list[tuple[int, bytes]],
        mode: int = 0,
    ) -> str: ...
    def seconds(self, request: bytes, identity: bytes, times: int) -> float: ...
