"""Whose requests are one session, and what keeps them at one endpoint: a value that the client is given with the answer
and brings along (GEP-1619). Pure; not compiled: few rules have sessions.

The value names the endpoint by a digest of the rule, the cluster and the address. So every replica knows it that has
the same configuration, nothing is stored, rules share no sessions, and clients are not told addresses of Pods. It is no
secret and needs none: what it names is among the endpoints that the request may get anyway. Times that bound a session
stand in it as they are, in seconds since 1970.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

_DIGEST = 12
_TOKEN = 16
_LONGEST_TIME = 10
_SKEW_S = 300
"""How far clocks of replicas may differ: what began later than this from now on is made up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRule:
    """`name` is the cookie's, or the `header`'s in lower case. `lifetime_s`: of a cookie that is kept; 0: it ends with
    the client's session. `absolute_s`, `idle_s` 0: without end. `paths`: what the rule's matches begin with."""

    name: bytes
    header: bool = False
    lifetime_s: int = 0
    absolute_s: int = 0
    idle_s: int = 0
    paths: tuple[bytes, ...] = ()


class Session(NamedTuple):
    """What a client has brought along: which endpoint, when it began and was used last (0: that does not matter)."""

    token: bytes
    began: int
    used: int


def token_of(rule: bytes, cluster: str, address: bytes) -> bytes:
    """What stands for an endpoint of a cluster in sessions of a rule."""
    return urlsafe_b64encode(blake2b(b"%s\n%s\n%s" % (rule, cluster.encode(), address), digest_size=_DIGEST).digest())


def cookies(line: bytes, name: bytes) -> Iterable[bytes]:
    """The values of all cookies of that name in a Cookie field, without quotes."""
    for pair in line.split(b";"):
        found, equals, value = pair.strip().partition(b"=")
        if equals and found == name:
            yield value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value


def read(rule: SessionRule, value: bytes, now: int) -> Session | None:
    """The session of a value; None: it is none, or it is over."""
    token, *times = value.split(b".")
    if len(token) != _TOKEN or len(times) != bool(rule.absolute_s) + bool(rule.idle_s) or not all(map(_is_time, times)):
        return None
    seconds = [int(each, 16) for each in times]
    began = seconds[0] if rule.absolute_s else 0
    used = seconds[-1] if rule.idle_s else 0
    if max(began, used) > now + _SKEW_S:
        return None
    over = (rule.absolute_s and now >= began + rule.absolute_s) or (rule.idle_s and now >= used + rule.idle_s)
    return None if over else Session(token, began, used)


def _is_time(text: bytes) -> bool:
    return 0 < len(text) <= _LONGEST_TIME and not text.strip(b"0123456789abcdef")


def given(rule: SessionRule, had: Session | None, token: bytes, now: int) -> Session | None:
    """What a client is given with an answer of the endpoint that `token` stands for; None: it has that already."""
    if had is None or had.token != token:
        return Session(token, now, now)
    return had._replace(used=now) if rule.idle_s and now > had.used else None


def field(rule: SessionRule, session: Session, path: bytes, now: int) -> bytes:
    """The line of the answer, with its end; `path`: that of the request."""
    times = [*([session.began] if rule.absolute_s else ()), *([session.used] if rule.idle_s else ())]
    value = b".".join([session.token, *(b"%x" % each for each in times)])
    if rule.header:
        return b"%s: %s\r\n" % (rule.name, value)
    age = b"; Max-Age=%d" % max(0, rule.lifetime_s + session.began - now) if rule.lifetime_s else b""
    return b"set-cookie: %s=%s; Path=%s%s; HttpOnly; SameSite=Lax\r\n" % (
        rule.name,
        value,
        cookie_path(rule.paths, path),
        age,
    )


def cookie_path(paths: Iterable[bytes], path: bytes) -> bytes:
    """The longest of them that the path is, or lies below."""
    bare = path.partition(b"?")[0]
    below = [each for each in paths if bare == each or bare.startswith(each.removesuffix(b"/") + b"/")]
    return max(below, key=len, default=b"/")
