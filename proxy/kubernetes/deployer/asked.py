"""Which Services there are, of those that routes name: asked for by name, and the answer believed for a while.

To watch all Services would take memory that grows with the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.writer import Writer

FRESH_S = 10.0


class Services:
    """Call it with namespace and name. ApiFault if it cannot be asked."""

    def __init__(self, writer: Writer, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock = clock
        self._answers: dict[tuple[str, str], tuple[float, bool]] = {}
        """Until when they are believed, and what was said."""

    def __call__(self, namespace: str, name: str) -> bool:
        now = self._clock()
        until, there = self._answers.get((namespace, name), (now, False))
        if until <= now:
            self._answers = {place: answer for place, answer in self._answers.items() if answer[0] > now}
            there = self._writer.exists(kinds.SERVICES, namespace, name) is not None
            self._answers[namespace, name] = now + FRESH_S, there
        return there
