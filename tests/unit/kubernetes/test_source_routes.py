"""Which watches routes ask for: those of other namespaces, and what they lead to."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.kubernetes.api.resources import Watched
from proxy.kubernetes.source import kinds
from proxy.kubernetes.source.plan import Learned, wanted
from tests.unit.kubernetes.api_rig import Object
from tests.unit.kubernetes.test_source import GATEWAY, Rig, gateway, object_of, rig, wait_for

__all__ = ["rig"]

EVERYWHERE = Watched(kinds.ROUTES[0], optional=True)
OURS: Object = {"group": "", "kind": "Service", "name": "cart", "namespace": "shop"}


def route(name: str, namespace: str, parents: list[Object], *backends: str, **rule: Any) -> Object:
    refs = [{"name": "till", "namespace": each, "port": 80} for each in backends]
    spec = {"parentRefs": parents, "rules": [{"backendRefs": refs, **rule}]}
    return object_of("HTTPRoute", name, namespace) | {"spec": spec}


def test_a_backend_of_a_route_of_ours_is_followed_wherever_it_is() -> None:
    learned = Learned(GATEWAY)
    mirror = [{"requestMirror": {"backendRef": {"name": "copy", "namespace": "copies", "port": 80}}}]
    assert learned.put(EVERYWHERE, "clients", "c", route("c", "clients", [OURS], "far", "shop", filters=mirror))
    assert learned.known.led_to == {"far", "copies"}
    watched = {each.resource for each in wanted(learned.known) if each.namespace == "far"}
    assert watched == set(kinds.OF_BACKENDS)
    assert not learned.put(EVERYWHERE, "clients", "c2", route("c2", "clients", [OURS], "far"))
    assert learned.drop(EVERYWHERE, "clients", "c") and learned.known.led_to == {"far"}
    learned.forget(EVERYWHERE)
    assert learned.drop(EVERYWHERE, "clients", "c2") and learned.known.led_to == frozenset()


def test_where_virtual_services_send_requests_is_followed() -> None:
    learned = Learned(GATEWAY)
    beside = next(each for each in wanted(GATEWAY) if each.resource == kinds.VIRTUAL_SERVICES)
    hosts = ["cart", "till.far.svc.cluster.local", "api.example.com", "a.b.c.svc.cluster.local"]
    rule = {
        "route": [{"destination": {"host": each}} for each in hosts],
        "mirror": {"host": "x.copies.svc.cluster.local"},
    }
    body = object_of("VirtualService", "v", "shop") | {"spec": {"http": [rule, {"delegate": {"name": "odd"}}, "odd"]}}
    assert learned.put(beside, "shop", "v", body)
    assert learned.known.led_to == {"far", "copies"}
    learned.forget(beside)
    assert learned.drop(beside, "shop", "v") and learned.known.led_to == frozenset()


@pytest.mark.parametrize("parent", [{"name": "ingress"}, {**OURS, "namespace": "far"}, {"kind": 7}, "odd"])
def test_a_backend_of_another_route_is_not(parent: Any) -> None:
    learned = Learned(GATEWAY)
    assert not learned.put(EVERYWHERE, "clients", "c", route("c", "clients", [parent], "far"))


def test_routes_of_what_is_bound_elsewhere_are_ours_from_then_on() -> None:
    learned = Learned(GATEWAY)
    doors = next(each for each in wanted(GATEWAY) if each.resource == kinds.GATEWAYS)
    learned.put(doors, "shop", "way", gateway("All"))
    parent = {**OURS, "name": "pay", "namespace": "cards"}
    assert not learned.put(EVERYWHERE, "cards", "r", route("r", "cards", [parent], "far"))
    services = next(each for each in wanted(learned.known) if each.labels and each.resource == kinds.SERVICES)
    assert learned.put(services, "cards", "pay", {}) and learned.known.led_to == {"far"}


def test_the_namespace_of_a_route_of_our_listeners_says_whether_it_may() -> None:
    learned = Learned(GATEWAY)
    doors = next(each for each in wanted(GATEWAY) if each.resource == kinds.GATEWAYS)
    learned.put(doors, "shop", "way", gateway("Selector"))
    assert learned.put(EVERYWHERE, "far", "r", route("r", "far", [{"name": "way", "namespace": "shop"}]))
    assert Watched(kinds.NAMESPACES, fields="metadata.name=far") in wanted(learned.known)


def test_routes_and_backends_of_other_namespaces_are_told(rig: Rig) -> None:
    rig.api.put("httproutes", route("c", "clients", [OURS], "far"))
    rig.api.put("services", object_of("Service", "till", "far"))
    rig.api.put("referencegrants", object_of("ReferenceGrant", "g", "far"))
    rig.source.start()
    wait_for(lambda: "services far/till" in rig.names and rig.source.synced, lambda: rig.names)
    assert {"httproutes clients/c", "referencegrants far/g"} <= rig.names
    rig.api.delete("httproutes", "c", "clients")
    wait_for(lambda: "services far/till" not in rig.names, lambda: rig.names)


@pytest.mark.parametrize(("status", "waits"), [(404, False), (403, True)])
def test_a_kind_of_routes_that_the_cluster_has_not_is_not_waited_for(rig: Rig, status: int, waits: bool) -> None:
    """But a right that is missing is: without its routes a Service would be served otherwise than they say."""
    rig.api.wrong = lambda handler: "/shop/grpcroutes?" in handler.path and handler.refuse(status, "no")
    rig.source.start()
    wait_for(lambda: any("grpcroutes" in each for each in rig.source.troubles()))
    wait_for(lambda: rig.source.synced is not waits)
    assert ("grpcroutes" in rig.source.reason) is waits
