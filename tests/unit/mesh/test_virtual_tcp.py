"""`tcp` of VirtualServices: which connections to a port go where (row V21), as Istio's waypoints have it."""

from __future__ import annotations

import pytest

from proxy.mesh.traffic.routing import Backend, Condition, Op, Part, Routing
from tests.unit.mesh.mesh_rig import Object, endpoint_slice, gateway, hbone, loaded, namespace, rule, service, virtual
from tests.unit.mesh.virtual_rig import CART, clusters_of, told

PORTS = [{"name": "tcp-data", "port": 9000, "targetPort": 9000}, {"name": "tcp-more", "port": 9001, "targetPort": 9001}]
DATA = "shop/cart:9000"
ITSELF = "the Service itself"
CANARY = {"destination": {"host": "cart", "subset": "v2"}}
TWO = rule(spec={"subsets": [{"name": "v1", "labels": {"v": "1"}}, {"name": "v2", "labels": {"v": "2"}}]})


def of(*rules: Object, addresses: tuple[str, ...] = ("10.96.0.1",), port_name: str = "tcp-data") -> tuple[Object, ...]:
    ports = [{**PORTS[0], "name": port_name}, PORTS[1]]
    spec = {"clusterIP": addresses[0], "clusterIPs": list(addresses)}
    slices = endpoint_slice(ports=[{"name": each["name"], "port": each["targetPort"]} for each in ports])
    made = virtual({"hosts": ["cart"], "tcp": [*rules]})
    return namespace(), gateway(hbone()), service(ports=ports, spec=spec), slices, made


def routing(*objects: Object, cluster: str = DATA) -> Routing:
    found = clusters_of(*objects)[cluster].routing
    assert found
    return found


def matching(**match: object) -> Object:
    return {"match": [match], "route": [CART]}


def test_weights_and_subsets() -> None:
    shares = [{**CANARY, "weight": 20}, {"destination": {"host": "cart", "subset": "v1"}, "weight": 80}]
    objects = (*of({"route": shares}), TWO)
    found = routing(*objects)
    assert [each.conditions for each in found.matches] == [()]
    (only,) = found.rules
    assert only.name == "VirtualService shop/virtual tcp rule 0"
    assert only.backends == (
        Backend(f"{DATA}/v2", weight=20, status=503),
        Backend(f"{DATA}/v1", weight=80, status=503),
    )
    assert {f"{DATA}/v1", f"{DATA}/v2"} <= clusters_of(*objects).keys()
    assert not [each for each in told(*objects) if "tcp" in each]


def test_the_first_that_fits_counts_and_what_fits_none_goes_to_the_service_itself() -> None:
    found = routing(
        *of(matching(port=9001), matching(sourceNamespace="shop"), {"match": [{"port": 9000}], "route": [CART]})
    )
    assert [(each.rule, each.conditions) for each in found.matches] == [
        (0, (Condition(Part.NAMESPACE, Op.IS, "shop"),)),
        (1, ()),
    ]
    assert [each.name[-6:] for each in found.rules] == ["rule 1", "rule 2"]
    alone = routing(*of(matching(sourceNamespace="shop")))
    assert [each.name for each in alone.rules] == ["VirtualService shop/virtual tcp rule 0", ITSELF]
    assert alone.rules[1].backends == (Backend(DATA),) and alone.matches[1].conditions == ()


def test_a_port_that_no_rule_is_for_is_served_as_without() -> None:
    clusters = clusters_of(*of(matching(port=9001)))
    assert clusters[DATA].routing is None and clusters["shop/cart:9001"].routing


@pytest.mark.parametrize(
    ("subnets", "addresses", "asked"),
    [
        (["10.96.0.0/16"], ("10.96.0.1",), ["10.96.0.1"]),
        (["10.96.0.1"], ("10.96.0.1",), ["10.96.0.1"]),
        (["10.96.0.9/16"], ("10.96.0.1",), ["10.96.0.1"]),
        (["10.97.0.0/16", "10.96.0.0/24"], ("10.96.0.1",), ["10.96.0.1"]),
        (["fd00::/8"], ("10.96.0.1", "fd00::1"), ["[fd00::1]"]),
        (["0.0.0.0/0", "::/0"], ("10.96.0.1", "fd00::1"), ["10.96.0.1", "[fd00::1]"]),
        (["10.97.0.0/16"], ("10.96.0.1",), []),
    ],
)
def test_destination_subnets_are_those_of_the_address_that_was_asked_for(
    subnets: list[str], addresses: tuple[str, ...], asked: list[str]
) -> None:
    found = clusters_of(*of(matching(destinationSubnets=subnets), addresses=addresses))[DATA].routing
    told = [each.conditions for each in found.matches if each.conditions] if found else []
    assert told == [(Condition(Part.AUTHORITY, Op.IS, each),) for each in asked]


@pytest.mark.parametrize(
    ("match", "named"),
    [
        ({"sourceLabels": {"app": "till"}}, "tcp[0].match[0].sourceLabels"),
        ({"sourceSubnet": "10.0.0.0/8"}, "tcp[0].match[0].sourceSubnet"),
        ({"gateways": ["shop/door"]}, ""),
    ],
)
def test_what_is_never_known_never_holds(match: Object, named: str) -> None:
    objects = of(matching(**match), matching(port=9001))
    assert clusters_of(*objects)[DATA].routing is None
    said = [each for each in told(*objects) if "not in force" in each]
    assert bool(said) is bool(named) and all(named in each for each in said)


def test_a_destination_that_is_not_there() -> None:
    objects = of({"route": [{"destination": {"host": "nobody"}}]})
    assert routing(*objects).rules[0].backends == (Backend("", status=503),)
    assert [each for each in told(*objects) if "so its connections are closed" in each]


def test_ports_that_carry_requests_have_none_of_it() -> None:
    assert clusters_of(*of({"route": [CART]}, port_name="http"))[DATA].routing is None
    objects = of(matching(port=9000), port_name="data")
    assert clusters_of(*objects)[DATA].routing is None
    assert [each for each in told(*objects) if "is in force on ports declared tcp, which port 9000 of Service" in each]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({}, "tcp[0].route: is required"),
        ({"route": []}, "tcp[0].route: is required"),
        ({"route": [{"destination": {"host": "a"}}, {"destination": {"host": "b"}}]}, "has no weight"),
        ({"match": [{"port": 70000}], "route": [CART]}, "tcp[0].match[0].port: must be between 0 and 65535"),
        ({"match": [{"destinationSubnets": ["a"]}], "route": [CART]}, "destinationSubnets[0]: must be an IP address"),
        ({"match": [{"sourceNamespace": "a b"}], "route": [CART]}, "sourceNamespace: must be the name of a namespace"),
        ({"route": [{"destination": {"host": "cart", "port": {}}}]}, "port.number: is required"),
    ],
)
def test_what_is_wrong(said: Object, what: str) -> None:
    faults = [str(each) for each in loaded(*of(said)).faults]
    assert len(faults) == 1 and what in faults[0]
