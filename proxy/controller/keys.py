"""The keys that tokens are verified with: when each set is to be fetched, what it was last, what is wrong.

The last good set stays in force while there is no other, for a week at most (Istio's jwks_resolver). What was never
fetched is "": every token of its issuer is refused. Fetches nothing itself (`fetching`).
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.mesh.traffic.tokens import KeySource

logger = logging.getLogger("keys")

REFRESH_S = 20 * 60.0
RETRY_S, LONGEST_RETRY_S = 60.0, 60 * 60.0
"""When a set is fetched again that was not answered: each time twice as late, to the longest."""
URGENT_S, LONGEST_URGENT_S = 1.0, 60.0
"""The same of one that nothing is known of: nobody with a token gets in."""
SOONEST_S = 30.0
"""Between two times that all are fetched because a token named a key that nobody knows."""
DROPPED_S = 7 * 24 * 3600.0
JITTER = 0.1
"""By how much of its time a set is fetched later, at most, so that replicas do not ask all at once."""


@dataclass(slots=True)
class _Set:
    source: KeySource
    timeout_s: float
    due: float
    text: str = ""
    good_at: float = 0.0
    """When it was fetched last, or taken over."""
    fetching: bool = False
    failures: int = 0
    """Since then."""
    error: str = ""


class KeySets:
    """Those that are wanted, by the names of their sources."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._sets: dict[str, _Set] = {}
        self._remembered: dict[str, str] = {}
        self._missed, self._hurried = 0, -SOONEST_S

    def remember(self, texts: Mapping[str, str]) -> None:
        """What a former controller knew: in force until it is fetched."""
        self._remembered = dict(texts)

    def want(self, sources: Mapping[KeySource, int]) -> None:
        """These are all that matter, each with the time that fetching it may take, in ms; new ones are due at once."""
        now = self._clock()
        former, self._sets = self._sets, {}
        for source, timeout_ms in sources.items():
            known = former.get(source.name) or _Set(source, 0.0, now, self._remembered.pop(source.name, ""), now)
            known.timeout_s = timeout_ms / 1000
            self._sets[source.name] = known

    @property
    def forms(self) -> dict[str, str]:
        """The sets in force, as they travel."""
        return {name: each.source.jwks or each.text for name, each in self._sets.items()}

    @property
    def unheard(self) -> bool:
        """Whether some set was not tried yet, of which nothing is known either."""
        return any(not (each.text or each.failures) for each in self._fetched())

    def hurry(self) -> None:
        """All are due."""
        for each in self._fetched():
            each.due = self._clock()

    def missed(self, count: int) -> bool:
        """So many tokens named keys that nobody knows: whether that is a reason to fetch them all now."""
        now = self._clock()
        if count <= self._missed:
            self._missed = count  # of another process
        elif now >= self._hurried + SOONEST_S:
            self._missed, self._hurried = count, now
            return True
        return False

    def due(self) -> list[tuple[KeySource, float]]:
        """Those whose time has come, with how long it may take, in s; they count as being fetched from now on."""
        now = self._clock()
        found = [each for each in self._fetched() if not each.fetching and each.due <= now]
        for each in found:
            each.fetching = True
        return [(each.source, each.timeout_s) for each in found]

    def wait_s(self) -> float | None:
        """In how many seconds the next is due; None: there is none that is not being fetched."""
        times = [each.due for each in self._fetched() if not each.fetching]
        return max(min(times) - self._clock(), 0.0) if times else None

    def fetched(self, source: KeySource, text: str) -> bool:
        """It is this. Whether that is news."""
        each = self._sets.get(source.name)
        if each is None:
            return False
        if each.failures:
            logger.info("%s: fetched again", source.name)
        news, each.text, each.good_at = text != each.text, text, self._clock()
        each.failures, each.error = 0, ""
        self._again(each, REFRESH_S)
        return news

    def failed(self, source: KeySource, error: str) -> bool:
        """It cannot be fetched, or is none. Whether something else is in force now."""
        each = self._sets.get(source.name)
        if each is None:
            return False
        each.failures, each.error = each.failures + 1, error
        if each.failures == 1:
            kept = "going on with those of before" if each.text else "tokens are refused (401) until it is"
            logger.warning("%s: keys cannot be fetched: %s; %s", source.name, error, kept)
        first, longest = (RETRY_S, LONGEST_RETRY_S) if each.text else (URGENT_S, LONGEST_URGENT_S)
        self._again(each, min(first * 2.0 ** min(each.failures - 1, 30), longest))
        return self._drop_old()

    def shown(self) -> dict[str, dict[str, Any]]:
        """For people, by name."""
        now = self._clock()
        return {
            name: {
                "known": bool(each.text or each.source.jwks),
                "error": each.error,
                "failures": each.failures,
                "fetched_again_s": None if each.fetching or each.source.jwks else round(max(each.due - now, 0.0), 1),
            }
            for name, each in sorted(self._sets.items())
        }

    def _fetched(self) -> Iterable[_Set]:
        """Those that are not in a policy."""
        return [each for each in self._sets.values() if not each.source.jwks]

    def _drop_old(self) -> bool:
        dropped = False
        for each in self._fetched():
            if each.text and each.failures and self._clock() >= each.good_at + DROPPED_S:
                logger.warning("%s: keys dropped, they could not be fetched for a week", each.source.name)
                each.text, dropped = "", True
        return dropped

    def _again(self, each: _Set, after_s: float) -> None:
        each.due = self._clock() + after_s * (1 + JITTER * self._chance())
        each.fetching = False
