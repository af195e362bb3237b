"""`http[].corsPolicy` of a VirtualService."""

from __future__ import annotations

import re

from proxy.mesh.kinds.string_match import StringMatch, string_match
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, boolean, duration, fields, items, matching, one_of, text
from proxy.mesh.traffic.routing import Cors, Op, Origins

ANY = "*"
BROWSERS_S = 5
"""How long browsers keep an answer that does not say (Fetch, 4.8)."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", ANY)
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_match = string_match()


def _origin(at: At, value: object) -> StringMatch | None:
    found = _match(at, value)
    if found and not found.text:
        at.fault("must be exact, prefix or regex, and not empty")
        return None
    return found


def _age(at: At, value: object) -> int | None:
    found = duration(at, value)
    if found and found % 1000:
        at.fault(f"must be whole seconds, not {shown(value)}")
        return None
    return found


_names = items(matching(lambda name: _is_token(name) is not None, 'the name of a header, or "*"'))
_shape = fields(
    {
        "allowOrigins": items(_origin),
        "allowOrigin": items(text),
        "allowMethods": items(one_of(*_METHODS)),
        "allowHeaders": _names,
        "exposeHeaders": _names,
        "maxAge": _age,
        "allowCredentials": boolean,
        "unmatchedPreflights": one_of("UNSPECIFIED", "FORWARD", "IGNORE"),
    }
)


def cors(at: At, value: object) -> Cors | None:
    """`corsPolicy`."""
    found = _shape(at, value)
    if found is None:
        return None

    def names(name: str) -> tuple[str, ...]:
        given = found.get(name, ())
        assert isinstance(given, tuple)
        return given

    age = found.get("maxAge")
    old = tuple(StringMatch(Op.IS, each) for each in names("allowOrigin"))
    origins = found.get("allowOrigins", old)
    assert isinstance(origins, tuple)
    return Cors(
        origins=_origins(origins),
        methods=names("allowMethods"),
        headers=names("allowHeaders"),
        expose=names("exposeHeaders"),
        credentials=found.get("allowCredentials") is True,
        max_age_s=age // 1000 if isinstance(age, int) else BROWSERS_S,
        forward_unmatched=found.get("unmatchedPreflights") != "IGNORE",
    )


def _origins(given: tuple[StringMatch, ...]) -> Origins:
    """A star inside is a star here, and not any text; alone it is any origin."""
    exact = [each.text for each in given if each.op is Op.IS and (each.text == ANY or ANY not in each.text)]
    like = [each.text for each in given if each.op is Op.LIKE]
    like += [f"{re.escape(each.text)}.*" for each in given if each.op is Op.STARTS]
    like += [re.escape(each.text) for each in given if each.op is Op.IS and each.text not in exact]
    return Origins(tuple(exact), tuple(like))
