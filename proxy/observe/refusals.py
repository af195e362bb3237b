"""Peers that refuse us or are refused, as lines in the log: who, why, and no more of them than anybody reads.

Who is refused tries again, often at once: lines beyond LINES in a second are counted and told as one number.
"""

import logging
import time

LINES = 10


class Refusals:
    """The refusals by or of one `subject` in one worker: "listener 0.0.0.0:15008"."""

    def __init__(self, log: logging.Logger, subject: str) -> None:
        self._log = log
        self._subject = subject
        self._second = 0
        self._lines = 0
        self._untold = 0

    def tell(self, done: str, peer: bytes, identity: bytes | None, reason: str) -> None:
        """`done`: what was done. `peer` is `ip:port`, `identity` what its certificate says, if one was read."""
        second = int(time.monotonic())
        if second != self._second:
            if self._untold:
                self._log.warning("%s: %d more refusals", self._subject, self._untold)
            self._second, self._lines, self._untold = second, 0, 0
        if self._lines == LINES:
            self._untold += 1
            return
        self._lines += 1
        who = peer.decode() + (f" ({identity.decode('latin-1')})" if identity else "")
        self._log.warning("%s: %s %s: %s", self._subject, done, who, reason)
