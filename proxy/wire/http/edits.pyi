class Edits:
    host: bytes | None
    lines: bytes
    gone: frozenset[bytes]
    def __init__(self, gone: set[bytes], lines: list[tuple[bytes, bytes]], host: bytes | None = None) -> None: ...

def may_edit(name: bytes) -> bool: ...
