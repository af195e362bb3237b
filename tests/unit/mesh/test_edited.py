"""How much is put into a head is known when it is read, and by the same bounds as where it is done."""

import pytest

from proxy.controller.route_form import routing_form
from proxy.mesh.kinds.edited import MOST_LINES, ROOM, is_too_much
from proxy.mesh.traffic.routing import Backend, HeaderEdits, Rewrite, RouteRule, Routing
from proxy.relay.routing.rule import Rule


def lines(count: int, first: int = 0) -> HeaderEdits:
    return HeaderEdits(add=tuple((f"x-{at}", "1") for at in range(first, first + count)))


def octets(count: int) -> HeaderEdits:
    """One line that takes so many."""
    return HeaderEdits(set=(("x-a", "v" * (count - len("x-a: \r\n"))),))


@pytest.mark.parametrize(
    ("rule", "backend", "host", "too_much"),
    [
        (lines(MOST_LINES), HeaderEdits(), "", False),
        (lines(MOST_LINES + 1), HeaderEdits(), "", True),
        (lines(40), lines(24, 40), "", False),
        (lines(40), lines(25, 40), "", True),
        (lines(40), HeaderEdits(set=(("x-0", "2"),), add=lines(24, 40).add), "", False),
        (lines(40), HeaderEdits(remove=("x-0",), add=lines(25, 40).add), "", False),
        (octets(ROOM), HeaderEdits(), "", False),
        (octets(ROOM + 1), HeaderEdits(), "", True),
        (octets(ROOM), HeaderEdits(), "a", True),
        (octets(ROOM - 1), HeaderEdits(), "a", False),
        (octets(ROOM), HeaderEdits(set=(("x-a", ""),)), "", False),
    ],
)
def test_bounds(rule: HeaderEdits, backend: HeaderEdits, host: str, too_much: bool) -> None:
    assert is_too_much((rule, backend), host) == too_much
    to = Backend("a", request=backend, rewrite=Rewrite(host) if host else None)
    made = Rule(routing_form(Routing((), (RouteRule("it", (to,), request=rule),)))["rules"][0])
    assert bool(made.problem) == too_much
