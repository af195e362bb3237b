"""Clients that are refused or broken off with, as lines in the log: who, why, and no more of them than anybody reads.

A client that is refused tries again, often at once: lines beyond LINES in a second are counted and told as one number.
"""

import logging
import time

LINES = 10


class Refusals:
    """The refusals of one listener in one worker."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._second = 0
        self._lines = 0
        self._untold = 0

    def tell(self, listener: str, done: str, peer: str, identity: bytes | None, reason: str) -> None:
        """`done`: what was done to it. `peer` is `ip:port`, `identity` what its certificate says, if one was read."""
        second = int(time.monotonic())
        if second != self._second:
            if self._untold:
                self._log.warning("listener %s: %d more clients refused", listener, self._untold)
            self._second, self._lines, self._untold = second, 0, 0
        if self._lines == LINES:
            self._untold += 1
            return
        self._lines += 1
        who = f"{peer} ({identity.decode('latin-1')})" if identity else peer
        self._log.warning("listener %s: %s %s: %s", listener, done, who, reason)
