"""What is known of the host names among endpoints: when each is to be asked for, what DNS answered last, what is wrong.

The last good answer stays in force for as long as there is no other, whatever DNS says or does not say. An answer that
has the same addresses in another order, as servers rotate them, is the same. Asks nobody itself (`asking`).
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

logger = logging.getLogger("dns")

SHORTEST_S, LONGEST_S = 1.0, 300.0
"""What a TTL counts for at least and at most."""
RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
"""When a name is asked for again that was not answered: each time twice as late, to the longest."""
JITTER = 0.1
"""By how much of its time a name is asked for later, at most, so that replicas and names do not ask all at once."""
KEPT_S = 300.0
"""How long the answer for a name is kept that nobody wants any more."""
MOST = 128
"""Addresses of a name; what is more is left out."""


class Answer(NamedTuple):
    """Addresses in the order in which DNS gave them, at least one, and for how long they hold."""

    addresses: tuple[str, ...]
    ttl_s: float


@dataclass(slots=True)
class _Name:
    due: float
    addresses: tuple[str, ...] = ()
    unwanted_since: float | None = None
    asking: bool = False
    failures: int = 0
    """Since the last answer."""
    error: str = ""

    @property
    def waits(self) -> bool:
        """For its time to be asked for."""
        return not self.asking and self.unwanted_since is None


class Names:
    """The names that are wanted. `take` may be called from another thread than the rest."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._names: dict[str, _Name] = {}
        self._remembered: dict[str, tuple[str, ...]] = {}
        self._news: deque[tuple[str, tuple[str, ...]]] = deque()

    def remember(self, name: str, addresses: Sequence[str]) -> None:
        """What a former controller knew: in force until there is an answer."""
        self._remembered[name] = tuple(addresses)
        self._news.append((name, tuple(addresses)))

    def want(self, names: Iterable[str]) -> None:
        """These are all that matter; new ones are due at once. Others are kept for a while: what has vanished by
        mistake comes back."""
        now, wanted = self._clock(), set(names)
        for name in wanted - self._names.keys():
            self._names[name] = _Name(now, self._remembered.pop(name, ()))
        for name, each in list(self._names.items()):
            if name in wanted:
                each.unwanted_since = None
            elif each.unwanted_since is None:
                each.unwanted_since = now
            elif now >= each.unwanted_since + KEPT_S:
                del self._names[name]
                self._news.append((name, ()))

    @property
    def unheard(self) -> bool:
        """Whether DNS has not said anything yet about some name, of which nothing else is known either."""
        return any(not (each.addresses or each.failures) for each in self._names.values())

    def due(self) -> list[str]:
        """Those whose time has come, and which count as being asked for from now on."""
        now = self._clock()
        found = [name for name, each in self._names.items() if each.waits and each.due <= now]
        for name in found:
            self._names[name].asking = True
        return found

    def wait_s(self) -> float | None:
        """In how many seconds the next is due; None: there is none that is not being asked for."""
        times = [each.due for each in self._names.values() if each.waits]
        return max(min(times) - self._clock(), 0.0) if times else None

    def answered(self, name: str, answer: Answer) -> bool:
        """DNS has answered. Whether that is news for `take`."""
        each = self._names.get(name)
        if each is None:
            return False
        if each.failures:
            logger.info("%s: answered again", name)
        self._ask_again(each, min(max(answer.ttl_s, SHORTEST_S), LONGEST_S))
        each.failures, each.error = 0, ""
        addresses = answer.addresses[:MOST]
        if set(addresses) == set(each.addresses):
            return False
        if len(answer.addresses) > MOST:
            logger.warning("%s: %d addresses, of which %d are used", name, len(answer.addresses), MOST)
        each.addresses = addresses
        self._news.append((name, addresses))
        return True

    def failed(self, name: str, error: str) -> None:
        """DNS has not answered, or with no address."""
        each = self._names.get(name)
        if each is None:
            return
        each.failures, each.error = each.failures + 1, error
        if each.failures == 1:
            known = ", ".join(each.addresses)
            kept = f"going on with {known}" if known else "requests for it get 503 until it is answered"
            logger.warning("%s: %s; %s", name, error, kept)
        self._ask_again(each, min(RETRY_S * 2.0 ** min(each.failures - 1, 30), LONGEST_RETRY_S))

    def take(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Names whose addresses are others since the last call, in order; () for those that are not wanted any more."""
        while self._news:
            yield self._news.popleft()

    def shown(self) -> dict[str, dict[str, Any]]:
        """For people, by name."""
        now = self._clock()
        return {
            name: {
                "addresses": list(each.addresses),
                "error": each.error,
                "failures": each.failures,
                "asked_again_s": None if each.asking else round(max(each.due - now, 0.0), 1),
            }
            for name, each in sorted(self._names.items())
            if each.unwanted_since is None
        }

    def _ask_again(self, each: _Name, after_s: float) -> None:
        each.due = self._clock() + after_s * (1 + JITTER * self._chance())
        each.asking = False
