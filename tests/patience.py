"""How much patience a bound in time needs here and now: the machine is measured before a test has failed.

Bounds are written for a quiet machine. On a busy one, where everything waits for its turn, they are stretched by as
much as a fixed piece of work takes longer than on a quiet one. What must come in some order needs none of this: assert
the order.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

QUIET_S = 0.018
"""What `_turns` takes on a quiet machine of the slowest kind the bounds were written on."""
MOST = 20.0
CANARY_S = 0.005


def _turns() -> float:
    """Seconds that ten naps of a millisecond take, with some work after each: what processes that talk do all day."""
    began = time.monotonic()
    for _ in range(10):
        time.sleep(0.001)
        for _ in range(20_000):
            pass
    return time.monotonic() - began


def slowness() -> float:
    """How many times longer things take now than on a quiet machine: 1 to `MOST`. Takes some 40 ms of a quiet one."""
    return min(MOST, max(1.0, (_turns() + _turns()) / (2 * QUIET_S)))


@contextlib.contextmanager
def within(seconds: float, what: str = "", at_least: float = 0.0) -> Iterator[None]:
    """The block takes less than `seconds`, and `at_least` so many.

    If it took longer, the machine is measured. What it stood still meanwhile is told by a thread that only naps, and is
    not held against the block.
    """
    with _Canary() as canary:
        began = time.monotonic()
        yield
        took = time.monotonic() - began
    assert took >= at_least, f"{took:.3f} s, and not before {at_least:g}: {what}"
    if took >= seconds:
        bound = seconds * slowness() + canary.lost_s
        assert took < bound, f"{took:.3f} s, not within {seconds:g} ({bound:.3f} on this machine now): {what}"


class _Canary:
    """Naps while the block runs, and adds up how late it was woken."""

    def __init__(self) -> None:
        self.lost_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._nap, daemon=True)

    def _nap(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self._over.wait(CANARY_S)
            self.lost_s += max(0.0, time.monotonic() - began - 2 * CANARY_S)

    def __enter__(self) -> "_Canary":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
