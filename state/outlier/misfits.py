"""Which keys of a cluster hold what this program has not written, for the warning that names them."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import redis

from state.keys import Keys
from state.scripts import alone

_WORDS = {"zset": "sorted set"}


def misfits(client: redis.Redis, keys: Keys, endpoints: Sequence[str]) -> list[str]:
    """`KEY is a string, not a hash`, for each of them. Raises redis.RedisError."""
    wanted = {keys.ejected: "zset", keys.log: "stream", keys.version: "string", keys.epoch: "string"}
    wanted |= {keys.replicas: "hash", keys.pace: "string", keys.rates: "hash"}
    wanted |= {keys.endpoint(endpoint): "hash" for endpoint in endpoints}
    script = client.register_script(alone("types"))
    found = cast(list[str], script(keys=list(wanted)))
    faults = list(_wrong_types(wanted, found))
    if not faults and not _is_number(client.get(keys.version)):
        faults.append(f"{keys.version} is no number")
    return faults


def _wrong_types(wanted: dict[str, str], found: list[str]) -> Iterator[str]:
    for (name, right), kind in zip(wanted.items(), found, strict=True):
        if kind not in ("none", right):
            yield f"{name} is a {_WORDS.get(kind, kind)}, not a {_WORDS.get(right, right)}"


def _is_number(text: Any) -> bool:
    return text is None or str(text).isdecimal()
