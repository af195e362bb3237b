"""What the endpoints answer and when they were asked: memory shared with their process (../origin.c)."""

import ctypes
import mmap
from pathlib import Path

TIMES = 8192


class Row(ctypes.Structure):
    """One endpoint. `failing`: how many of a hundred requests it answers with 503. The rest is the endpoint's."""

    _fields_ = (
        ("failing", ctypes.c_uint64),
        ("served", ctypes.c_uint64),
        ("failed", ctypes.c_uint64),
        ("times", ctypes.c_uint64 * TIMES),
    )

    failing: int
    served: int
    failed: int
    times: "ctypes.Array[ctypes.c_uint64]"

    def failures_ns(self) -> list[int]:
        """When it was asked what it then failed, since `failed` was set to 0, on CLOCK_MONOTONIC."""
        if self.failed > TIMES:
            raise RuntimeError(f"{self.failed} failures are more than the board keeps")
        return [int(at) for at in self.times[: self.failed]]


class Board:
    """The rows, in the order of the endpoints' addresses."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        path.write_bytes(bytes(count * ctypes.sizeof(Row)))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.rows = (Row * count).from_buffer(self._memory)

    def fail(self, *which: int, percent: int = 100) -> None:
        """These endpoints fail so many of a hundred requests from now on, counted from 0; the others none."""
        for row in self.rows:
            row.failing = 0
        for number in which:
            self.rows[number].failed = 0
            self.rows[number].failing = percent

    def served(self) -> int:
        """Requests that all endpoints together have been sent."""
        return sum(row.served for row in self.rows)
