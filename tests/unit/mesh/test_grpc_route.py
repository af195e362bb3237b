"""What is read of a GRPCRoute's rules: rows G1 to G3 of the reference's tables."""

from __future__ import annotations

import pytest

from proxy.mesh.traffic.routing import Condition, Op, Part
from tests.unit.mesh.mesh_rig import Object
from tests.unit.mesh.route_rig import filtered, read


def path_is(op: Op, text: str) -> tuple[Condition, ...]:
    return (Condition(Part.PATH, op, text),)


@pytest.mark.parametrize(
    ("match", "conditions"),
    [
        pytest.param(None, (), id="G2-any"),
        pytest.param({"service": "a.B", "method": "C"}, path_is(Op.IS, "/a.B/C"), id="G1"),
        pytest.param({"service": "a.B"}, path_is(Op.STARTS, "/a.B/"), id="G1-service"),
        pytest.param({"method": "C"}, path_is(Op.LIKE, "/[^/]+/C"), id="G1-method"),
        pytest.param(
            {"type": "RegularExpression", "service": "a|b"}, path_is(Op.LIKE, "/(?:a|b)/(?:[^/]+)"), id="G1-re"
        ),
    ],
)
def test_a_match_of_a_grpc_route(match: Object | None, conditions: tuple[Condition, ...]) -> None:
    route, faults, _ = read({"matches": [{"method": match}]} if match else {}, kind="GRPCRoute")
    assert route is not None and not faults and [each.conditions for each in route.rules[0].matches] == [conditions]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        pytest.param({"matches": [{"method": {}}]}, "matches[0].method: must have a service or a method", id="G1"),
        pytest.param({"matches": [{"method": {"service": "a/b"}}]}, "must be the name of a gRPC service", id="G1-/"),
        pytest.param({"matches": [{"path": {}}]}, "matches[0].path: is not a known field", id="G3-path"),
        pytest.param({"filters": [filtered("RequestRedirect")]}, "RequestRedirect is not built", id="G3"),
        pytest.param({"timeouts": {}}, "timeouts: is not a known field", id="G3-times"),
    ],
)  # fmt: skip
def test_what_a_grpc_route_has_not(said: Object, what: str) -> None:
    _, faults, warnings = read(said, kind="GRPCRoute")
    assert what in str([*faults, *warnings])
