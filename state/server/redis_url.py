"""URLs of a Redis, read: one server, a Unix socket, a Sentinel's service, a Cluster.

    redis://[user:password@]HOST[:PORT][/DB]         rediss:// the same over TLS
    unix://[user:password@]/PATH[?db=DB]
    redis+sentinel://[user:password@]H1[:P],H2[:P]/SERVICE[/DB]     rediss+sentinel://
    redis+cluster://[user:password@]H1[:P],H2[:P]                   rediss+cluster://

Pure. Names and passwords are percent-encoded. No text of an error holds the URL: there may be a password in it.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

SERVER, SOCKET, SENTINEL, CLUSTER = "server", "socket", "sentinel", "cluster"
FORMS = "redis://HOST:PORT/DB, rediss://..., unix:///PATH, redis+sentinel://H1,H2/SERVICE, redis+cluster://H1,H2"

_KINDS = {
    "redis": (SERVER, False),
    "rediss": (SERVER, True),
    "unix": (SOCKET, False),
    "redis+sentinel": (SENTINEL, False),
    "rediss+sentinel": (SENTINEL, True),
    "redis+cluster": (CLUSTER, False),
    "rediss+cluster": (CLUSTER, True),
}
_PORTS = {SERVER: 6379, SENTINEL: 26379, CLUSTER: 6379}
_URL = re.compile(r"([a-z+]+)://(?:([^@/?#]*)@)?([^@/?#]*)((?:/[^?#]*)?)(?:\?([^#]*))?")
_HOST = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[\w.-]+)(?::(\d+))?", re.ASCII)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """What a URL says. `addresses` are of the server, the Sentinels, or some nodes of the Cluster."""

    kind: str  # one of SERVER, SOCKET, SENTINEL, CLUSTER
    tls: bool
    addresses: tuple[Address, ...]
    path: str  # of a SOCKET
    service: str  # of a SENTINEL
    database: int
    username: str
    password: str = field(repr=False)


def parse(url: str) -> RedisUrl:
    """What `url` says. Raises ValueError, which says what is wrong and how to write it."""
    found = _URL.fullmatch(url)
    if not found or found[1] not in _KINDS:
        hint = "; percent-encode @ : / ? # in a password" if url.split("://")[0] in _KINDS else ""
        raise ValueError(f"must be `embedded` or a URL: {FORMS}{hint}")
    kind, tls = _KINDS[found[1]]
    username, _, password = (unquote(part) for part in (found[2] or "").partition(":"))
    query = _query(found[5] or "", kind)
    parts = [unquote(part) for part in found[4].split("/")[1:]]
    return RedisUrl(
        kind=kind,
        tls=tls,
        addresses=() if kind == SOCKET else _addresses(found[3], _PORTS[kind], kind),
        path=_path(found[3], unquote(found[4])) if kind == SOCKET else "",
        service=_service(parts) if kind == SENTINEL else "",
        database=_database(kind, parts, query),
        username=query.get("username", username),
        password=query.get("password", password),
    )


def _query(text: str, kind: str) -> dict[str, str]:
    known = ("db", "username", "password") if kind == SOCKET else ("db",)
    query = dict(parse_qsl(text, keep_blank_values=True))
    if query.keys() - set(known):
        raise ValueError(f"has a parameter after ? that is not known; known here: {', '.join(known)}")
    return query


def _addresses(text: str, port: int, kind: str) -> tuple[Address, ...]:
    found = tuple(_address(part, port) for part in text.split(",") if part)
    if not found:
        raise ValueError(f"names no server: {FORMS}")
    if len(found) > 1 and kind == SERVER:
        raise ValueError("has several servers: give one, or redis+sentinel://H1,H2/SERVICE, or redis+cluster://H1,H2")
    return found


def _address(text: str, default_port: int) -> Address:
    found = _HOST.fullmatch(text)
    if not found or int(found[2] or default_port) > 65535:
        raise ValueError("each host must be HOST or HOST:PORT, the port a number from 0 to 65535")
    return found[1].strip("[]"), int(found[2] or default_port)


def _path(host: str, path: str) -> str:
    if host or path in ("", "/"):
        raise ValueError("names no server: unix:///PATH, with three slashes")
    return path


def _service(parts: list[str]) -> str:
    if not parts or not parts[0]:
        raise ValueError("names no service: redis+sentinel://H1,H2/SERVICE, as in `sentinel monitor SERVICE ...`")
    return parts[0]


def _database(kind: str, parts: list[str], query: dict[str, str]) -> int:
    rest = {SERVER: parts, SENTINEL: parts[1:], CLUSTER: parts, SOCKET: []}[kind]
    text = query.get("db", "/".join(rest)) or "0"
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise ValueError("the database must be a number, as in redis://HOST:PORT/0")
    if kind == CLUSTER and int(text):
        raise ValueError("a Redis Cluster has database 0 only; leave out the path")
    return int(text)
