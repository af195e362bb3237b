"""How many requests a replica may let in: the executable specification of `lua/lease_requests.lua`. Pure.

The same algorithm as proxy/policy/rate_limit.py, for many requests at once: `arrival` is when the last of all that was
leased would come, did all come evenly. Whole microseconds, as Redis has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a replica asks for. `limit` is its number, the same in all replicas, and `text` what people know it by.

    `interval_ns` lies between two requests at that rate, `capacity` may be leased at once in the whole fleet. `owed`:
    how many it has let in without asking; less than 0: how many of a lease it has not used.
    """

    replica: str
    limit: int
    text: str
    interval_ns: int
    capacity: int
    owed: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedByKey:
    """The same of a limit under which requests count by a key: `keys` has what is owed and wanted of each, by its
    number, which is the same in all replicas."""

    replica: str
    limit: int
    text: str
    interval_ns: int
    capacity: int
    keys: Mapping[int, tuple[int, int]]


class Lease(NamedTuple):
    """So many requests; how long it takes until the fleet has another (0: it has), and how many replicas have asked
    lately."""

    requests: int
    wait_us: int
    replicas: int


def lease(arrival_us: int, now_us: int, asked: Asked) -> tuple[int, int, int]:
    """`arrival_us` from now on, how many are leased, and `wait_us`.

    What is owed counts in any case, but no more of it than twice what there may be at once: a replica that was cut off
    does not stop the others for long.
    """
    full = _time_of(asked.capacity, asked)
    arrival = max(arrival_us, now_us) + _time_of(asked.owed, asked)
    arrival = min(max(arrival, now_us), now_us + 2 * full)
    room = (now_us + full - arrival) * 1000 // asked.interval_ns
    count = max(0, min(asked.wanted, room))
    arrival += _time_of(count, asked)
    return arrival, count, 0 if room > count else max(1, arrival + _time_of(1, asked) - full - now_us)


def _time_of(count: int, asked: Asked) -> int:
    return -(-count * asked.interval_ns // 1000)
