from collections.abc import Mapping, Sequence

from proxy.ipc.snapshot import TokenRuleForm
from proxy.policy.tokens.keys import Keys

class Judge:
    kept: tuple[int, int]
    def __init__(self, form: list[TokenRuleForm], keys: Mapping[str, Keys], asked: Sequence[str] = ()) -> None: ...
    def judge(self, head: bytes, now: float) -> tuple[str | None, list[tuple[int, bytes]], bytes]: ...
    def nanoseconds(self, head: bytes, now: float, count: int) -> float: ...
