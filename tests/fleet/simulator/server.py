"""A Redis of the commands that our scripts use, whose clock, data and rights anybody may meddle with."""

from collections.abc import Callable
from typing import Any

import redis

from tests.fleet.simulator.lua import interpreter
from tests.fleet.simulator.world import MS, World

Value = str | dict[str, str] | dict[str, float] | list[dict[str, str]]
Data = tuple[dict[str, Any], dict[str, int]]

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
BEGAN_MS = 1_700_000_000_000


class ZSet(dict[str, float]):
    """A sorted set."""


class Stream(list[dict[str, str]]):
    """A stream."""


class Server:
    """`publish` and `noted` (an entry of a stream) are set by whoever wants to hear."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._began_ms = world.begun_ns // MS
        self.ahead_ms = 0  # its clock has been set
        self.values: dict[str, Any] = {}
        self.expires: dict[str, int] = {}
        self.denied: frozenset[str] = frozenset()
        self.publish: Callable[[str, str], int] = lambda channel, message: 0
        self.noted: Callable[[dict[str, str]], object] = lambda entry: None
        self._commands = {name[3:].upper(): getattr(self, name) for name in dir(self) if name.startswith("do_")}

    def now_ms(self) -> int:
        return BEGAN_MS + self._world.now_ms - self._began_ms + self.ahead_ms

    def copy(self) -> Data:
        """As an RDB file has it."""
        return {key: type(value)(value) for key, value in self.values.items()}, dict(self.expires)

    def restore(self, data: Data) -> None:
        values, expires = data
        self.values = {key: type(value)(value) for key, value in values.items()}
        self.expires = dict(expires)

    def script(self, source: str, keys: Any, arguments: Any) -> Any:
        return interpreter().run(self, source, keys, arguments)

    def command(self, name: str, *arguments: Any) -> Any:
        """Raises redis.ResponseError."""
        if name.lower() in self.denied:
            raise redis.ResponseError(f"NOPERM this user has no permissions to run the '{name.lower()}' command")
        return self._commands[name](*arguments)

    def _find(self, key: str, kind: type[Any]) -> Any:
        """The value of that kind, or None. Raises redis.ResponseError for one of another kind."""
        ends_ms = self.expires.get(key)
        if ends_ms is not None and ends_ms <= self.now_ms():
            del self.values[key], self.expires[key]
        value = self.values.get(key)
        if value is not None and type(value) is not kind:
            raise redis.ResponseError(WRONGTYPE)
        return value

    def _make(self, key: str, kind: type[Any]) -> Any:
        value = self._find(key, kind)
        if value is None:
            value = self.values[key] = kind()
        return value

    def exists(self, key: str) -> bool:
        ends_ms = self.expires.get(key)
        if ends_ms is not None and ends_ms <= self.now_ms():
            del self.values[key], self.expires[key]
        return key in self.values

    # -- commands -----------------------------------------------------------------------------------------------------

    def do_time(self) -> list[str]:
        now_ms = self.now_ms()
        micros = self._world.now_ns // 1000 % 1000
        return [str(now_ms // 1000), str(now_ms % 1000 * 1000 + micros)]

    def do_get(self, key: str) -> Any:
        return self._find(key, str)

    def do_mget(self, *keys: str) -> list[Any]:
        return [self.values[key] if self.exists(key) and type(self.values[key]) is str else None for key in keys]

    def do_set(self, key: str, value: str, *options: Any) -> Any:
        if "NX" in options and self.exists(key):
            return None
        self.values[key] = str(value)
        self.expires.pop(key, None)
        if "PX" in options:
            self.expires[key] = self.now_ms() + int(options[options.index("PX") + 1])
        if "PXAT" in options:
            self.expires[key] = int(options[options.index("PXAT") + 1])
        return 1

    def do_incr(self, key: str) -> int:
        value = self._find(key, str) or "0"
        if not value.isdecimal():
            raise redis.ResponseError("ERR value is not an integer or out of range")
        self.values[key] = str(int(value) + 1)
        return int(value) + 1

    def do_del(self, *keys: str) -> int:
        there = [key for key in keys if self.exists(key)]
        for key in there:
            del self.values[key]
            self.expires.pop(key, None)
        return len(there)

    def do_exists(self, key: str) -> int:
        return int(self.exists(key))

    def do_type(self, key: str) -> Any:
        kinds: dict[type[Any], str] = {str: "string", dict: "hash", ZSet: "zset", Stream: "stream"}
        return {"ok": kinds[type(self.values[key])] if self.exists(key) else "none"}

    def do_pttl(self, key: str) -> int:
        if not self.exists(key):
            return -2
        return self.expires[key] - self.now_ms() if key in self.expires else -1

    def do_pexpireat(self, key: str, at_ms: Any) -> int:
        if not self.exists(key):
            return 0
        self.expires[key] = int(at_ms)
        return int(self.exists(key))

    def do_persist(self, key: str) -> int:
        return int(self.exists(key) and self.expires.pop(key, None) is not None)

    def do_hgetall(self, key: str) -> list[str]:
        found: dict[str, str] = self._find(key, dict) or {}
        return [each for pair in found.items() for each in pair]

    def do_hlen(self, key: str) -> int:
        return len(self._find(key, dict) or {})

    def do_hset(self, key: str, *pairs: Any) -> int:
        self._make(key, dict).update(zip(map(str, pairs[::2]), map(str, pairs[1::2]), strict=True))
        return len(pairs) // 2

    def do_hdel(self, key: str, *fields: str) -> int:
        found = self._find(key, dict) or {}
        return sum(found.pop(each, None) is not None for each in fields)

    def do_zadd(self, key: str, score: Any, member: str) -> int:
        self._make(key, ZSet)[member] = float(score)
        return 1

    def do_zrem(self, key: str, member: str) -> int:
        return int((self._find(key, ZSet) or {}).pop(member, None) is not None)

    def do_zrange(self, key: str, first: Any, last: Any, *scores: str) -> list[str]:
        found: ZSet = self._find(key, ZSet) or ZSet()
        members = sorted(found, key=lambda member: (found[member], member))
        members = members[int(first) : int(last) + 1 or None]
        return [each for name in members for each in (name, f"{found[name]:.0f}")] if scores else members

    def do_xadd(self, key: str, *words: Any) -> str:
        fields = words[words.index("*") + 1 :]
        entry = dict(zip(fields[::2], fields[1::2], strict=True))
        stream = self._make(key, Stream)
        stream.append(entry)
        del stream[:-200]
        self.noted(entry)
        return "1-0"

    def do_publish(self, channel: str, message: str) -> int:
        return self.publish(channel, message)
