"""How long to wait before the next try: longer each time, never in step with others, never less than was asked for."""

from __future__ import annotations

import random

FIRST_S = 0.1
LONGEST_S = 30.0


class Pace:
    """Exponential back-off with jitter: the n-th wait is between a half and the whole of FIRST_S * 2^n, bounded."""

    def __init__(
        self, first_s: float = FIRST_S, longest_s: float = LONGEST_S, chance: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._chance = chance or random.Random()
        self._next_s = first_s

    def reset(self) -> None:
        """It went well."""
        self._next_s = self._first_s

    def next(self, asked_s: float = 0.0) -> float:
        """Seconds to wait now. `asked_s` is what the server asked for (Retry-After), which is kept, up to a bound."""
        whole, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return max(whole * self._chance.uniform(0.5, 1.0), min(asked_s, self._longest_s))
