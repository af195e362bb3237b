"""For how long the fleet has known endpoints: the executable specification of `lua/first_seen.lua`. Pure.

Whoever has seen one first says so for all. One that no replica has told of for long begins anew.
"""

from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

TELL_MS = 30_000
"""So often a replica tells which endpoints it has."""
FORGET_MS = 3 * TELL_MS
"""What nobody has told of for so long is not known any more."""


class Seen(NamedTuple):
    """When an endpoint was seen first, and told of last; ms since 1970, as Redis has it."""

    since: int
    told: int


def first_seen(known: MutableMapping[str, Seen], now_ms: int, ages_ms: Mapping[str, int]) -> dict[str, int]:
    """A replica has seen these endpoints first so long ago; the fleet did so long ago."""
    for name in [name for name, seen in known.items() if now_ms - seen.told > FORGET_MS]:
        del known[name]
    for name, age_ms in ages_ms.items():
        since = now_ms - age_ms
        known[name] = Seen(min(since, known[name].since if name in known else since), now_ms)
    return {name: max(0, now_ms - known[name].since) for name in ages_ms}
