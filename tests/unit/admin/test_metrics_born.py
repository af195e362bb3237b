"""Counters that configuration bounds are there at 0 before anything is counted, under the names that counting gives."""

from proxy.admin.metrics import counted
from proxy.admin.metrics.family import Distribution, Family
from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ClusterForm
from proxy.scoreboard.scoreboard import Scoreboard
from tests.unit.mesh.mesh_rig import gateway, loaded, namespace, service, thing
from tests.unit.mesh.route_rig import CART, http

DENY = {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/no"]}}]}]}
ALLOW = {"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}


def form() -> ClusterForm:
    """Of shop/cart:80, with a route, two policies, tokens and a limit."""
    target = {"targetRefs": [{"kind": "Service", "group": "", "name": "cart"}]}
    policies = [
        thing("AuthorizationPolicy", "security.istio.io/v1", name, "shop", spec=spec | target)
        for name, spec in (("deny", DENY), ("allow", ALLOW))
    ]
    limited = service(annotations={"waypointd.io/rate-limit": "10/second"})
    result = loaded(namespace(), gateway(), limited, http("r", {"backendRefs": [CART]}), *policies)
    assert result.snapshot, result.faults
    return cluster_form(result.snapshot.clusters["shop/cart:80"], 0, [])


def counts(families: list[Family]) -> dict[tuple[str, ...], float]:
    return {
        (each.name.removeprefix("waypointd_").removesuffix("_requests_total"), *(value for _, value in labels.pairs)): n
        for each in families
        for labels, n in each.samples
        if not isinstance(n, Distribution)
    }


def test_what_there_is_before_anything_is_counted() -> None:
    board = Scoreboard.create()
    made = form() | {"tokens": [{}]}
    found = counts(list(counted.families(board, {"shop/cart:80": made})))  # type: ignore[dict-item]
    del found["counts_lost_total",]
    assert set(found.values()) == {0}
    assert {each[1:] for each in found if each[0] == "rbac"} == {
        ("shop/cart:80", "allowed", ""),
        ("shop/cart:80", "denied", "ns[shop]-policy[deny]-rule[0]"),
        ("shop/cart:80", "denied", "none"),
    }
    assert {each[1:] for each in found if each[0] == "rate_limit"} == {
        ("shop/cart:80", "allowed", ""),
        ("shop/cart:80", "limited", "10/second burst=10 key=none scope=replica"),
    }
    assert {each[1:] for each in found if each[0] == "jwt"} == {("shop/cart:80", "success", "")}
    assert {each[1:] for each in found if each[0] == "route"} == {
        ("HTTPRoute shop/r rule 0", code_class) for code_class in ("2xx", "4xx", "5xx")
    }


def test_what_was_counted_is_told_once() -> None:
    board = Scoreboard.create()
    board.workers.start(0, 1)
    board.counts.add(0, b"rbac\0shop/cart:80\0allowed\0", 3)
    found = counts(list(counted.families(board, {"shop/cart:80": form()})))
    assert found["rbac", "shop/cart:80", "allowed", ""] == 3


def test_limits_of_routes_are_there_too_each_once() -> None:
    made = form()
    (limit,) = made["rate_limits"]
    of_route = limit | {"id": limit["id"] + 1, "text": "3/day burst=3 key=none scope=fleet of HTTPRoute shop/r"}
    made["route_limits"] = {f"HTTPRoute shop/r rule {index}": [of_route] for index in range(2)}
    found = counts(list(counted.families(Scoreboard.create(), {"shop/cart:80": made})))
    limited = [each[3] for each in found if each[0] == "rate_limit" and each[2] == "limited"]
    assert limited == [limit["text"], of_route["text"]]
