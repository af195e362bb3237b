"""What an API server takes of routes and what it refuses, as it is told here (the former: `tests/cluster`)."""

from __future__ import annotations

import pytest

from tests.route_cases import CASES, Case
from tests.unit.mesh.route_rig import read


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_an_api_server_refuses_is_told_and_what_it_takes_is_in_force(case: Case) -> None:
    route, faults, warnings = read(kind=case.kind, **case.whole)
    told = [*faults, *warnings]
    assert bool(told) is (not case.stored or bool(case.ours)), told
    assert case.ours in "".join(told)
    if route is not None:
        assert [each.broken for each in route.rules] == [False, bool(told)], "the other rule is in force"
