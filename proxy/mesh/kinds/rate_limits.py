"""The annotation that asks for rate limits, on a Service or a ServiceEntry.

    waypointd.io/rate-limit: 1000/second burst=200; 10/minute key=header:x-user scope=fleet

What cannot be read does nothing, and that is told; the other limits of the text, and the object, stay in force: a rate
limit is no access rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import texts_of
from proxy.mesh.reading.remarks import shown, suggestion
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At
from proxy.mesh.traffic.rate_limit import UNITS, RateKey, RateLimit
from proxy.mesh.traffic.scope import Scope

ANNOTATION = "waypointd.io/rate-limit"
MOST = 8
"""Limits of one object: each is asked for every request."""
_LARGEST = 1_000_000
_LONGEST_FILL_S = 30 * 86400
_RATE = re.compile(r"(?P<requests>[0-9]{1,7})/(?P<unit>\w+)", re.ASCII)
_HEADER = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,64}")
_SETTINGS = ("burst", "key", "scope")


def rate_limits(manifest: Manifest, body: Body, report: Report) -> tuple[RateLimit, ...]:
    """The limits that the object asks for, each once, in their order."""
    at = At(manifest, report).down("metadata", "annotations")
    given = texts_of(body, "annotations")
    _advise(at, given)
    found: dict[RateLimit, None] = {}
    for text in filter(str.strip, re.split(r"[;\n]", given.get(ANNOTATION, ""))):
        limit = _limit(at.down(ANNOTATION), text)
        if limit in found:
            at.down(ANNOTATION).warn(f"{shown(text.strip())} is given twice, and counts once")
        elif limit and len(found) == MOST:
            at.down(ANNOTATION).warn(f"{shown(text.strip())} does nothing: there may be {MOST} limits")
        elif limit:
            found[limit] = None
    return tuple(found)


def _advise(at: At, given: Mapping[str, str]) -> None:
    """A name that is nearly ours."""
    for name in given:
        if name.startswith("waypointd.io/") and name != ANNOTATION and (hint := suggestion(name, [ANNOTATION], 0.85)):
            at.down(name).warn(f"is not known, so it does nothing{hint}")


def _limit(at: At, text: str) -> RateLimit | None:
    """One of them. None: it is wrong, which is said."""
    wrong = [*_wrong(text.split())]
    made = None if wrong else _made(text.split())
    if made and made.interval_ns * made.burst > _LONGEST_FILL_S * 1_000_000_000:
        wrong = ["a burst must come back within 30 days: ask for a smaller one, or a higher rate"]
    for said in wrong:
        at.warn(f"{shown(text.strip())} does nothing: {said}")
    return None if wrong else made


def _wrong(words: list[str]) -> Iterator[str]:
    rate = _RATE.fullmatch(words[0])
    if rate is None or rate["unit"] not in UNITS or not 1 <= int(rate["requests"]) <= _LARGEST:
        units = ", ".join(UNITS)
        yield f"it must begin with a rate such as 100/second: from 1 to {_LARGEST}, a slash, and one of {units}"
    names = [word.partition("=")[0] for word in words[1:]]
    for name, word in zip(names, words[1:], strict=True):
        if name not in _SETTINGS:
            yield f"{shown(word)} is no setting{suggestion(name, _SETTINGS)}; there are {', '.join(_SETTINGS)}"
        elif names.count(name) > 1:
            yield f"{name} is given twice"
        elif said := _WRONG[name](word.partition("=")[2]):
            yield f"{name}: {said}, not {shown(word.partition('=')[2])}"


def _wrong_burst(value: str) -> str:
    good = value.isascii() and value.isdigit() and len(value) < 8 and 1 <= int(value) <= _LARGEST
    return "" if good else f"must be how many may come at once, from 1 to {_LARGEST}"


def _wrong_key(value: str) -> str:
    kind, _, header = value.partition(":")
    good = _HEADER.fullmatch(header) if kind == RateKey.HEADER else value in (*RateKey,)
    return "" if good else "must be none, header:NAME, path or identity"


def _wrong_scope(value: str) -> str:
    return "" if value in (*Scope,) else f"must be one of {', '.join(Scope)}"


_WRONG = {"burst": _wrong_burst, "key": _wrong_key, "scope": _wrong_scope}


def _made(words: list[str]) -> RateLimit:
    """Of words that are right; without `burst` as many at once as come in a unit."""
    requests, _, unit = words[0].partition("/")
    settings = dict(word.split("=", 1) for word in words[1:])
    kind, _, header = settings.get("key", RateKey.NONE).partition(":")
    made = RateLimit(requests=int(requests), unit=unit, burst=int(requests), key=RateKey(kind), header=header.lower())
    return replace(
        made,
        burst=int(settings.get("burst", made.burst)),
        scope=Scope(settings.get("scope", Scope.REPLICA)),
    )
