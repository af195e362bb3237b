"""Texts that a VirtualService compares with what a request has: Istio's StringMatch."""

from __future__ import annotations

from typing import NamedTuple

from proxy.mesh.kinds.patterns import expression
from proxy.mesh.reading.schema import At, Check, at_most_one, fields, text
from proxy.mesh.traffic.routing import Op

LONGEST = 1024
"""Characters of a regular expression, as Istio's validation has it."""


class StringMatch(NamedTuple):
    """`op` is IS, STARTS, LIKE (all of the text), or IS_THERE, whatever the text."""

    op: Op
    text: str = ""


PRESENT = StringMatch(Op.IS_THERE)
_OPS = {"exact": Op.IS, "prefix": Op.STARTS, "regex": Op.LIKE}
_PRESENT_TOO = "*"
"""No regular expression: Istio takes it for one that stands for any text."""


def regular_expression(at: At, value: object) -> str | None:
    """One in RE2's syntax, as written."""
    found = text(at, value)
    if found == "":
        at.fault("must not be empty")
    elif found and len(found) > LONGEST:
        at.fault(f"is longer than {LONGEST} characters")
    elif found:
        before = at.faults
        expression(at, found)
        return found if at.faults == before else None
    return None


def string_match(empty_prefix: bool = False, star: bool = False) -> Check[StringMatch]:
    """`exact`, `prefix` or `regex`; without any, that it is there. `empty_prefix`: it may be empty, which any text
    begins with. `star`: the regular expression `*` is taken, too, and stands for that it is there."""

    def pattern(at: At, value: object) -> str | None:
        return _PRESENT_TOO if star and value == _PRESENT_TOO else regular_expression(at, value)

    def prefix(at: At, value: object) -> str | None:
        if value == "" and not empty_prefix:
            at.fault("must not be empty")
        return text(at, value)

    shape = fields({"exact": text, "prefix": prefix, "regex": pattern}, rules=(at_most_one(*_OPS),))

    def check(at: At, value: object) -> StringMatch | None:
        found = shape(at, value)
        if found is None:
            return None
        return next((_match(name, str(given)) for name, given in found.items()), PRESENT)

    return check


def _match(name: str, given: str) -> StringMatch:
    return PRESENT if (name, given) == ("regex", _PRESENT_TOO) else StringMatch(_OPS[name], given)
