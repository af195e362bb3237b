"""Routes and access rules that change all the time: a request meets one state of them, whole, and none fails."""

import time
from collections import Counter
from pathlib import Path

import pytest

from proxy.mesh.traffic.access import AccessPolicy, AccessRule, Action, Fact, Term
from proxy.mesh.traffic.routing import HeaderEdits
from tests.integration.http_rig import Client
from tests.integration.routed_rig import Routed, routed, to, under
from tests.rig import Background

SECONDS, A_SECOND, CLIENTS, CHANGES = 20, 500, 10, 10
STATES = ("a", "b")


def obey(routed: Routed, state: str) -> None:
    """In state a /b is denied and answers say a, by v1; in state b /a is, and they say b, by v2."""
    other = STATES[state == "a"]
    denied = AccessRule(operations=((Term(Fact.PATH, (f"/{other}",)),),))
    rule = to(f"v{STATES.index(state) + 1}", response=HeaderEdits(set=(("x-state", state),)))
    routed.obey(*(under(f"/{each}", rule) for each in STATES), access=(AccessPolicy("ns/p", Action.DENY, (denied,)),))


def kept(path: str, status: int, state: str, name: bytes) -> bool:
    """Whether this may be answered in some one state: who gets in by a state is led by the same one."""
    return status == 403 or (status == 200 and path == f"/{state}" and name == f"v{STATES.index(state) + 1}".encode())


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ten_changes_a_second_under_five_hundred_requests(tmp_path: Path) -> None:
    answers: Counter[tuple[str, int, str, bytes]] = Counter()

    def ask() -> None:
        turn, begun = 0, time.monotonic()
        with Client(made.port, 20) as client:
            while not traffic.stopping.wait(max(0.0, begun + turn * CLIENTS / A_SECOND - time.monotonic())):
                path, turn = f"/{STATES[turn % 2]}", turn + 1
                head, text = client.ask("web", path)
                answers[path, head.status, head.get("x-state", ""), text] += 1

    with routed(tmp_path) as made:
        obey(made, "a")
        traffic = Background(*[ask] * CLIENTS)
        with traffic:
            begun, changes = time.monotonic(), 0
            while time.monotonic() < begun + SECONDS:
                changes += 1
                obey(made, STATES[changes % 2])
                time.sleep(max(0.0, begun + changes / CHANGES - time.monotonic()))
            took = time.monotonic() - begun
    print(f"{changes / took:.1f} changes and {answers.total() / took:.0f} requests a second, {answers}")
    assert not [each for each in answers if not kept(*each)]
    assert all(answers[f"/{each}", 200, each, f"v{at + 1}".encode()] > 100 for at, each in enumerate(STATES))
