"""How long a rule's requests may take, how often they are tried, and which endpoint the next one of a session goes to.

GEP-1742 (timeouts), GEP-1731 (retry), GEP-1619 (sessionPersistence), the last two experimental; durations are those of
GEP-2257.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from proxy.mesh.kinds.header_edits import FRAMING
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import INT32_MAX, At, integer, items, matching, one_of
from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from proxy.mesh.traffic.routing import Persistence

_is_token = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]*").fullmatch
_is_duration = re.compile(r"(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}").fullmatch
_parts = re.compile(r"([0-9]+)(ms|h|m|s)").findall
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_LONGEST_NAME = 128
_RETRIED = ("reset", "unavailable", "cancelled")
"""What is tried again beside `codes` and connections that fail: those that break, or give no answer in time; and what
gRPC says, as in Istio."""
_MOST_TIMES_LONGER = 10
"""How much longer than `backoff` a pause gets: Envoy's default for max_interval."""


_session_name = matching(
    lambda name: len(name) <= _LONGEST_NAME and _is_token(name) is not None,
    f"a name for a cookie or a header, of at most {_LONGEST_NAME} characters",
)


def duration(at: At, value: object) -> int | None:
    """In milliseconds; 0 is without end."""
    if isinstance(value, str) and _is_duration(value):
        return sum(int(number) * _MILLISECONDS[unit] for number, unit in _parts(value))
    at.fault(f"must be a duration such as 10s, 1m30s or 500ms, without fractions, not {shown(value)}")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """`timeouts`, in ms. 0: without end; None: not said."""

    request: int | None = optional(duration, None)
    backend_request: int | None = optional(duration, None)


def _shorter(at: At, found: Timeouts) -> None:
    if found.request and found.backend_request and found.backend_request > found.request:
        at.down("backendRequest").fault("must not be longer than request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`retry`."""

    codes: tuple[int, ...] = optional(items(integer(400, 599)), ())
    attempts: int | None = optional(integer(1, INT32_MAX), None)
    backoff: int | None = optional(duration, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CookieConfig:
    lifetime_type: str = optional(one_of("Permanent", "Session"), "Session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`sessionPersistence`; times in ms, 0: without end."""

    session_name: str = optional(_session_name, "")
    absolute_timeout: int = optional(duration, 0)
    idle_timeout: int = optional(duration, 0)
    type: str = optional(one_of("Cookie", "Header"), "Cookie")
    cookie_config: _CookieConfig | None = optional(struct(_CookieConfig), None)

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives its client's session."""
        return self.cookie_config is not None and self.cookie_config.lifetime_type == "Permanent"


def _whole_cookie(at: At, found: Session) -> None:
    if found.permanent and not found.absolute_timeout:
        at.down("absoluteTimeout").fault("is required with lifetimeType Permanent")
    if found.cookie_config and found.type != "Cookie":
        at.down("cookieConfig").fault(f"cannot be given with type {found.type}")


def _own_header(at: At, found: Session) -> None:
    if found.type == "Header" and found.session_name.lower() in (*FRAMING, "host"):
        at.down("sessionName").fault("says how messages are framed, or whose they are: give a name of your own")


timeouts = struct(Timeouts, rules=(_shorter,))
retry = struct(Retry)
session = struct(Session, rules=(_whole_cookie, _own_header))


def retries(times: Timeouts | None, again: Retry | None) -> RetryPolicy:
    """Both as one policy; what is not said is as without a route."""
    times = times or Timeouts(request=None, backend_request=None)
    made = replace(DEFAULT_RETRIES, attempt_ms=times.backend_request or None, timeout_ms=times.request or None)
    if again is None:
        return made
    made = replace(made, codes=tuple(dict.fromkeys(again.codes)), on=_RETRIED)
    if again.attempts is not None:
        made = replace(made, attempts=again.attempts)
    if again.backoff:
        longest = again.backoff * _MOST_TIMES_LONGER
        made = replace(made, pause_ms=again.backoff, longest_pause_ms=longest, least_pause_ms=again.backoff)
    return made


def persistence(found: Session, name: str) -> Persistence:
    """`name`: what carries a session, if the rule does not say."""
    seconds = [-(-each // 1000) for each in (found.absolute_timeout, found.idle_timeout)]
    return Persistence(
        found.session_name or name,
        header=found.type == "Header",
        lifetime_s=seconds[0] if found.permanent else 0,
        absolute_s=seconds[0],
        idle_s=seconds[1],
    )
