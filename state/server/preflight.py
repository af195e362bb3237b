"""Is this a Redis we can work with? Asked when one is first reached, and again when another one answers.

Looks at INFO, and tries every command that is needed in a way that changes nothing, because asking for one's own rights
(ACL DRYRUN) needs more rights than using them. Nothing found here stops anything: a replica without Redis decides by
itself. So each problem is a line for the log, with what to do about it.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import redis
from redis.exceptions import ResponseError
from redis.sentinel import MasterNotFoundError

from state.keys import Keys
from state.scripts import alone
from state.server.access import Access
from state.server.cluster_client import ClusterClient
from state.server.failures import missing_right
from state.server.redis_url import CLUSTER, RedisUrl

OLDEST = (6, 2)
"""SET ... PXAT, XADD ... NOMKSTREAM and permissions for channels came with 6.2."""

# What the scripts run, and how to try it without leaving anything behind. DEL comes before INCR, which cannot be tried
# otherwise; if it is not allowed the key is left.
PROBES = {
    "time": "TIME",
    "get": "GET @",
    "set": "SET @ - XX",
    "exists": "EXISTS @",
    "type": "TYPE @",
    "pttl": "PTTL @",
    "pexpireat": "PEXPIREAT @ 1",
    "hgetall": "HGETALL @",
    "hset": "HSET @ field value field",  # refused for its arguments, after the rights
    "hlen": "HLEN @",
    "hdel": "HDEL @ field",
    "zadd": "ZADD @ XX 1 member",
    "zrem": "ZREM @ member",
    "zrange": "ZRANGE @ 0 -1",
    "xadd": "XADD @ NOMKSTREAM * field value",
    "publish": "PUBLISH # -",
    "incr": "INCR @",
    "del": "DEL @",
}
# What is sent by clients themselves.
DIRECT = ("eval", "evalsha", "script|load", "mget", "subscribe", "unsubscribe", "info")
TELLING = ("publish", "xadd")
"""What tells of a decision that holds without it."""
SPARE = (*TELLING, "hlen", "hdel", "type", "info", "unsubscribe", "asking")
"""Without which decisions are right all the same: they serve those who look, or a slot that moves."""
IN_CLUSTER = ("cluster|slots", "asking")
WITH_DATABASE = ("select",)
BY_HAND = ("scan", "ttl", "xrevrange", "pubsub|numsub")
"""For waypointctl and the admin pages."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A line for the log; `level` is one of logging's."""

    level: int
    text: str
    unfit: bool = False  # ejections cannot be shared while this is so
    told: bool = False


def rights(url: RedisUrl) -> tuple[str, ...]:
    """Every command that a user of ours must be allowed."""
    more = (*(IN_CLUSTER if url.kind == CLUSTER else ()), *(WITH_DATABASE if url.database else ()))
    return (*DIRECT, *PROBES, *more, *BY_HAND)


def acl_line(user: str, prefix: str, commands: tuple[str, ...]) -> str:
    """What gives a user these rights and no others."""
    return f"ACL SETUSER {user} ~{prefix}:* &{prefix}:* {' '.join(f'+{name}' for name in commands)}"


class Preflight:
    """The check for one client. `problems` may be called as often as one likes: it tells of each thing once, and again,
    as told, of what stands in the way of sharing anything."""

    def __init__(self, client: redis.Redis, access: Access, prefix: str) -> None:
        self._client = client
        self._url = access.url
        self._user = access.redis_username or self._url.username or "default"
        self._prefix = prefix
        self._seen: set[tuple[str, str]] = set()  # run id and role of the servers there are
        self._told: set[str] = set()

    def problems(self) -> list[Problem]:
        """What is wrong, and has not been told since another server answered; nothing if Redis is away."""
        try:
            found = list(self._look())
        except (redis.RedisError, OSError) as error:
            found = list(_refusal(error, self._user, self._url.tls))
        told = self._told.copy()
        self._told.update(problem.text for problem in found)
        return [replace(each, told=each.text in told) for each in found if each.unfit or each.text not in told]

    def _look(self) -> Iterator[Problem]:
        client = self._client
        nodes: list[Any] = client.primaries() if isinstance(client, ClusterClient) else [client]
        seen = set()
        for node in nodes:
            info = self._info(node)
            identity = str(info.get("run_id", _name(node))), str(info.get("role"))
            if identity not in self._seen:
                self._told.clear()
            for problem in self._examine(node, info):
                yield replace(problem, text=f"Redis at {_name(node)}: {problem.text}")
            seen.add(identity)
        self._seen = seen

    @staticmethod
    def _info(node: Any) -> dict[str, Any]:
        try:
            return dict(node.info())
        except ResponseError as error:
            if missing_right(str(error)):
                return {}
            raise

    def _examine(self, node: Any, info: dict[str, Any]) -> Iterator[Problem]:
        yield from about_server(info, self._url)
        if info.get("redis_mode") != "sentinel" and info.get("role") != "slave" and not _too_old(info):
            yield from self._rights(node)

    def _rights(self, node: Any) -> Iterator[Problem]:
        """The permissions that are missing, in one line that gives them."""
        missing: dict[str, bool] = {}
        for right, needed in self._missing(node):
            missing[right] = needed or missing.get(right, False)
        if not missing:
            return
        unfit = any(missing.values())
        costs = "Redis has more to do, or to keep, than is needed"
        if unfit:
            costs = "the fleet's ejections are not shared: each replica decides by itself"
        elif any(f"+{right}" in missing for right in TELLING) or any(right.startswith("&") for right in missing):
            costs = "others hear of ejections only when they look, or the stream does not tell of them"
        remedy = f"ACL SETUSER {self._user} {' '.join(missing)}"
        yield Problem(logging.ERROR, f"user {self._user} lacks rights, and so {costs}; give them: {remedy}", unfit)

    def _missing(self, node: Any) -> Iterator[tuple[str, bool]]:
        """Rights, and whether decisions need them."""
        keys = Keys(self._prefix, "preflight")
        for name, attempt in _attempts(node, keys, self._url):
            try:
                replies = attempt()
            except ResponseError as error:
                yield from self._grant(str(error), name)
                continue
            if name == "eval":
                for probed, text in zip(PROBES, replies, strict=True):
                    yield from self._grant(text, probed)

    def _grant(self, error: str, name: str) -> Iterator[tuple[str, bool]]:
        kind = missing_right(error)
        if kind:
            right = {"key": f"~{self._prefix}:*", "channel": f"&{self._prefix}:*"}.get(kind, f"+{name}")
            yield right, name not in SPARE


def _attempts(node: Any, keys: Keys, url: RedisUrl) -> Iterator[tuple[str, Callable[[], Any]]]:
    script = alone("preflight")
    arguments = (keys.endpoint("probe"), keys.events, *PROBES.values())
    yield "info", lambda: node.info("server")
    yield "eval", lambda: node.eval(script, 0, *arguments)
    yield "script|load", lambda: node.script_load(script)
    yield "evalsha", lambda: node.evalsha("0" * 40, 0)
    yield "mget", lambda: node.mget([keys.version, keys.epoch])
    yield "subscribe", lambda: _listen(node, "SUBSCRIBE", keys.events)
    yield "unsubscribe", lambda: _listen(node, "UNSUBSCRIBE", keys.events)
    if url.kind == CLUSTER:
        yield "asking", lambda: node.execute_command("ASKING")


def _listen(node: Any, command: str, channel: str) -> None:
    """One command on a connection of its own; redis-py's PubSub would hide which of them was refused."""
    with node.pubsub() as pubsub:
        pubsub.execute_command(command, channel)
        pubsub.connection.read_response()


def about_server(info: dict[str, Any], url: RedisUrl) -> Iterator[Problem]:
    """What INFO tells. Valkey calls itself Redis 7.2 for the sake of old clients, and is new enough."""
    if info.get("redis_mode") == "sentinel":
        yield Problem(logging.ERROR, "this is a Sentinel: write --redis redis+sentinel://HOST:PORT/SERVICE")
        return
    if info.get("redis_mode") == "cluster" and url.kind != CLUSTER:
        yield Problem(logging.ERROR, "this is a node of a Redis Cluster: write --redis redis+cluster://HOST:PORT")
    if _too_old(info):
        version = info["redis_version"]
        yield Problem(logging.ERROR, f"version {version} is too old: give Redis 6.2 or newer, or Valkey 7.2 or newer")
    if info.get("role") == "slave":
        yield Problem(
            logging.ERROR,
            "this is a replica, which nobody can write to: name its primary, or let Sentinels name it with "
            "--redis redis+sentinel://H1,H2/SERVICE",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory") and policy != "noeviction":
        yield Problem(
            logging.WARNING,
            f"maxmemory-policy is {policy}: an ejection dropped to make room puts its endpoint back; "
            "CONFIG SET maxmemory-policy noeviction",
        )
    if info.get("aof_enabled") == 0 and info.get("role") == "master":
        yield Problem(
            logging.INFO, "appendonly is off: after a restart the replicas have to tell it again what is ejected"
        )


def _too_old(info: dict[str, Any]) -> bool:
    found = str(info.get("redis_version", "999.0")).split(".")
    return tuple(int(part) for part in found[:2] if part.isdecimal()) < OLDEST


def _name(node: Any) -> str:
    """Where it is, for the log."""
    options = node.connection_pool.connection_kwargs
    host, port = getattr(node.connection_pool, "master_address", None) or (options.get("host"), options.get("port"))
    return str(options.get("path") or f"{host}:{port}")


_REMEDIES = (
    ("cluster support disabled", "it is no Cluster: write --redis redis://HOST:PORT"),
    ("Hostname mismatch", "name it in --redis as its certificate does"),
    ("IP address mismatch", "name it in --redis as its certificate does, or have the address put into the certificate"),
    ("CERTIFICATE_VERIFY_FAILED", "give the certificate of who signed the server's with --redis-ca"),
    ("CERTIFICATE_REQUIRED", "it asks for our certificate: give --redis-cert and --redis-key"),
    ("without any password configured", "it has no password: leave ours out, or set one there"),
    ("unknown command 'SENTINEL'", "it is no Sentinel: write --redis redis://HOST:PORT"),
    ("DB index is out of range", "it has not so many databases: write --redis redis://HOST:PORT/0"),
)
_WITHOUT_TLS = "Timeout connecting to server", "WRONG_VERSION_NUMBER", "wrong version number", "RECORD_LAYER_FAILURE"
_WITH_TLS = "Connection closed by server", "Connection reset by peer"


def remedy_of(error: Exception, tls: bool) -> str:
    """What to do about an error, if it says enough of what is wrong, else "". `tls`: it was spoken to in TLS."""
    text = str(error)
    for sign, remedy in _REMEDIES:
        if sign in text:
            return remedy
    if tls and any(sign in text for sign in _WITHOUT_TLS):
        return "if it speaks no TLS there, write redis:// for rediss://"
    return "if it speaks TLS there, write rediss://" if not tls and any(sign in text for sign in _WITH_TLS) else ""


def _refusal(error: Exception, user: str, tls: bool) -> Iterator[Problem]:
    """Why we are not let in, if that is it; a server that is only away is told of elsewhere."""
    text = str(error)
    if remedy := remedy_of(error, tls):
        yield Problem(logging.ERROR, f"Redis ({text}): {remedy}")
    elif isinstance(error, MasterNotFoundError):
        login = "uthentication" in text
        remedy = (
            "log in to them with --redis-sentinel-username and --redis-sentinel-password-file"
            if login
            else "is the service called as in their `sentinel monitor`, and is a primary alive?"
        )
        yield Problem(logging.WARNING, f"the Sentinels name no primary ({text}): {remedy}")
    elif isinstance(error, redis.AuthenticationError):
        yield Problem(
            logging.ERROR,
            f"Redis lets user {user} not in ({text}): see the user and password of --redis, or --redis-username and "
            "--redis-password-file",
        )
