"""What is kept up with changes is what is read at once: a Loader against load(), after random edits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.mesh.model import Snapshot
from proxy.mesh.resolving.load import Document, Loaded, Loader, load
from tests.unit.mesh.mesh_rig import (
    USE,
    USE_NS,
    Object,
    endpoint_slice,
    entry,
    external,
    gateway,
    hbone,
    listener,
    member,
    namespace,
    pod,
    rule,
    selecting,
    service,
    shop,
    thing,
    virtual,
)
from tests.unit.mesh.route_strategies import grants, routes
from tests.unit.mesh.virtual_rig import http
from tests.unit.mesh.virtual_strategies import virtuals

LAX = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)

FILES = ("a.yaml", "b.yaml", "c.yaml")
NAMESPACES = st.sampled_from(["shop", "shop", "shop", "shop", "far", "istio-system"])
NAMES = st.sampled_from(["cart", "till"])
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
APPS = st.sampled_from([{}, {"app": "cart"}, {"app": "till"}, {"app": "cart", "tier": "x"}])
FULL = "cart.shop.svc.cluster.local"
SOME_CART: Object = {"route": [{"destination": {"host": "cart", "subset": "some"}}]}
CAPTURED = {"ambient.istio.io/redirection": "enabled"}
UNREADY = {"type": "Ready", "status": "False"}
ALL: Object = {"allowedRoutes": {"namespaces": {"from": "All"}}}
SOME: Object = {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}}


def one_of(*choices: Any) -> Any:
    return st.sampled_from(choices)


namespaces = st.builds(
    namespace,
    NAMESPACES,
    one_of(
        {}, {USE: "wp"}, {USE: "wp", USE_NS: "shop", "team": "a"}, {USE: "wp", "istio.io/dataplane-mode": "ambient"}
    ),
)
gateways = st.builds(
    lambda doors, name, labels: gateway(*doors, name=name, labels=labels),
    one_of(
        *([listener()], [hbone()], [listener(**ALL), hbone(**ALL)]),
        *([listener(port=81, **SOME)], [listener("a", 9, "TCP")]),
    ),
    one_of("wp", "wp", "wp", "wp", "wp", "wp", "wp", "other"),
    one_of({}, {}, {}, {"istio.io/waypoint-for": "workload"}),
)
PORTS = one_of(
    None,
    [{"name": "http", "port": 80, "targetPort": "web"}],
    [{"name": "http", "port": 80}, {"name": "tcp", "port": 81}],
    [{"name": "udp", "port": 53, "protocol": "UDP"}],
)
services = st.builds(
    lambda name, ns, ports, labels, selector, ips, kind, more: service(
        name, ns, ports, {"selector": selector, "externalIPs": ips, "type": kind, **more}, labels=labels
    ),
    *(NAMES, NAMESPACES, PORTS, one_of({}, {}, {USE: "none"}, {USE: "wp", USE_NS: "shop"}), APPS),
    one_of([], ["192.0.2.1"], ["192.0.2.1", "fd00::1"]),
    one_of("ClusterIP", "ClusterIP", "ClusterIP", "ClusterIP", "ExternalName"),
    one_of({}, {}, {"clusterIP": "None"}, {"apProtocol": "http"}),
)
members = st.builds(
    member,
    *(ADDRESSES, one_of("", "p", "q")),
    ready=one_of(None, True, False),
    serving=one_of(None, True),
    terminating=one_of(None, True),
)
slices = st.builds(
    lambda ends, name, of, ns, ports: endpoint_slice(*ends, name=name, of=of, ns=ns, ports=ports),
    *(st.lists(members, min_size=1, max_size=4), one_of("s-1", "s-2"), NAMES, NAMESPACES),
    one_of(None, [{"name": "http", "port": 9}, {"name": "tcp"}], [{"name": "other", "port": 1}]),
)
pods = st.builds(
    lambda name, ip, account, ns, notes, host, phase, created, labels, conditions: pod(
        *(name, ip, account, ns, {"hostNetwork": host}),
        annotations=notes,
        labels=labels,
        status={"podIP": ip, "phase": phase, "conditions": conditions},
        creationTimestamp=created,
    ),
    *(one_of("p", "q", "r"), ADDRESSES, one_of("", "a"), NAMESPACES, one_of({}, CAPTURED), st.booleans()),
    *(one_of("Running", "Failed"), one_of(None, "2025-01-01T00:00:00Z"), APPS, one_of([], [UNREADY])),
)
entries = st.builds(
    lambda name, ns, address, labels, ports: entry(name, ns, address=address, labels=labels, ports=ports),
    *(one_of("vm", "vm-2"), NAMESPACES, one_of("10.0.0.1", "10.1.0.1", "a.example"), APPS, one_of({}, {"web": 7})),
)
POLICIES = one_of(
    None,
    {"outlierDetection": {}},
    {"outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 50}},
    {"loadBalancer": {"simple": "RANDOM"}},
    {"portLevelSettings": [{"port": {"number": 81}, "outlierDetection": {}}]},
)
rules = st.builds(
    lambda policy, host, name, ns, scopes, created, clients: rule(
        *(policy, host, name, ns, {"exportTo": scopes, **clients}), creationTimestamp=created
    ),
    *(
        POLICIES,
        one_of("cart", FULL, "*", "*.local", "*.shop.svc.cluster.local", "cart.shop", "gone", "a.example", "*.example"),
        one_of("r", "s"),
    ),
    *(NAMESPACES, one_of(None, ["."], ["*"], ["far"]), one_of(None, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")),
    one_of(
        *({}, {}, {"workloadSelector": {"matchLabels": {"a": "b"}}}),
        {"subsets": [{"name": "some", "labels": {"app": "cart"}}]},
    ),
)


def policy(kind: str, ns: str, target: Object, action: str) -> Object:
    more = {"action": action} if kind == "AuthorizationPolicy" else {}
    return thing(kind, "security.istio.io/v1", "guard", ns, spec={"targetRefs": [target], **more})


guards = st.builds(
    policy,
    *(one_of("AuthorizationPolicy", "RequestAuthentication"), NAMESPACES),
    one_of(
        {"kind": "Service", "name": "cart"},
        {"kind": "Service", "name": "till"},
        {"kind": "ServiceEntry", "name": "ext"},
        {"kind": "Gateway", "name": "wp"},
        {"kind": "Gateway", "name": "other"},
        {"kind": "GatewayClass", "name": "istio-waypoint"},
    ),
    one_of("DENY", "AUDIT"),
)
HOSTS = one_of(["a.example"], ["a.example", "b.example"], ["*.example"], ["till"], [FULL], ["cart.shop"])
externals = st.builds(
    lambda name, ns, labels, hosts, addresses, created, more: external(
        *(name, ns), labels=labels, addresses=addresses, created=created, **{"hosts": hosts, **more}
    ),
    *(one_of("ext", "ext-2"), NAMESPACES, one_of({}, {}, {USE: "none"}, {USE: "wp", USE_NS: "shop"}), HOSTS),
    *(one_of([], ["192.0.2.1"]), one_of(None, "2025-01-01T00:00:00Z")),
    one_of(
        {},
        {"endpoints": [{"address": "10.0.0.1"}, {"address": "10.0.0.2", "weight": 2}]},
        {"workloadSelector": {"labels": {"app": "cart"}}},
        {"workloadSelector": {"labels": {"app": "cart"}}, "resolution": "DNS", "hosts": ["a.example"]},
        {"resolution": "DNS", "endpoints": None, "hosts": ["a.example"]},
        {"resolution": None, "endpoints": None},
        {"exportTo": ["far"]},
    ),
)
others = one_of(
    external(annotations={"waypointd.io/acknowledged": "true"}, addresses=None),
    thing("ConfigMap", "v1", "settings"),
    thing("DestinationRules", "networking.istio.io/v1", "odd"),
    thing("DestinationRules", "networking.istio.io/v1", "odd", annotations={"waypointd.io/acknowledged": "true"}),
    thing("Endpoints", "v1", "cart"),
    thing("Endpoints", "v1", "till", "far", subset=[]),
    thing("Telemetry", "telemetry.istio.io/v1", "all", "far", spec={}),
    *(
        thing("TCPRoute", "gateway.networking.k8s.io/v1alpha2", "route", spec={"parentRefs": [ref]})
        for ref in (
            {"group": "", "kind": "Service", "name": "cart"},
            {"group": "", "kind": "Service", "name": "till", "namespace": "far"},
            {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "ext"},
            {"name": "wp"},
        )
    ),
    thing("GatewayClass", "gateway.networking.k8s.io/v1", "istio-waypoint"),
    thing("GatewayClass", "gateway.networking.k8s.io/v1", "istio-waypoint", labels={"istio.io/waypoint-for": "none"}),
)
broken = one_of(service(spec={"type": "Nothing"}), endpoint_slice(member("10.0.0.300")), {"kind": "Service"})
objects = st.one_of(
    *(namespaces, gateways, services, services, slices, slices, pods, pods, entries, rules, guards, others),
    *(externals, externals, routes, routes, grants, virtuals, virtuals),
)
# What to do, with which object, in which file; "twice" leaves the object where it was, too.
usual = st.tuples(one_of("put", "put", "put", "take"), objects, one_of(*FILES))
odd = st.tuples(one_of("put", "twice", "comment", "whole"), st.one_of(broken, objects), one_of(*FILES))
ANSWERS = one_of((), ("10.9.0.1",), ("10.9.0.1", "10.9.0.2"))
told = st.tuples(one_of("answer"), one_of("a.example", "b.example"), ANSWERS)
edits = st.integers(0, 9).flatmap(lambda chance: odd if chance == 9 else told if chance == 8 else usual)


class Manifests:
    """Objects in files, with comments that move what is below them."""

    def __init__(self, *objects: Object) -> None:
        self.files: dict[str, list[Object | str]] = {name: [] for name in FILES}
        for index, each in enumerate(objects):
            self.files[FILES[index % len(FILES)]].append(each)

    def edit(self, what: str, subject: Object, file: str) -> None:
        for each in self.files.values() if what in ("put", "take") else ():
            each[:] = [other for other in each if not same(other, subject)]
        if what in ("put", "twice"):
            self.files[file].append(subject)
        elif what == "comment":
            self.files[file].insert(0, "# a comment")
        elif what == "whole":
            self.files[file].clear()

    def documents(self) -> list[Document]:
        return [Document(name, "---\n".join(map(written, each))) for name, each in self.files.items() if each]


def same(one: Object | str, other: Object) -> bool:
    return isinstance(one, dict) and called(one) == called(other)


def called(one: Object) -> tuple[Any, Any, Any]:
    metadata = one.get("metadata", {})
    return one["kind"], metadata.get("namespace"), metadata.get("name")


def written(each: Object | str) -> str:
    return f"{each}\n" if isinstance(each, str) else f"{json.dumps(each, indent=1)}\n"


def orders(snapshot: Snapshot) -> Any:
    """Orders that mean something, which dictionaries do not compare."""
    services = [(list(each.services), list(map(list, each.services.values()))) for each in snapshot.listeners]
    return list(snapshot.clusters), services


def compare(found: Loaded, fresh: Loaded) -> None:
    assert (found.faults, found.warnings) == (fresh.faults, fresh.warnings)
    assert found == fresh
    if found.snapshot and fresh.snapshot:
        assert orders(found.snapshot) == orders(fresh.snapshot)


def compare_with_last(now: Snapshot, last: Snapshot) -> None:
    """What is the same is the same object."""
    kept(now.clusters, last.clusters)
    before = {(each.name, each.port): each for each in last.listeners}
    for each in now.listeners:
        if same_one := before.get((each.name, each.port)):
            assert each is same_one or each != same_one
            kept(each.services, same_one.services)


def kept(now: Mapping[str, Any], last: Mapping[str, Any]) -> None:
    for name, each in now.items():
        assert each is last.get(name) or each != last.get(name)


@LAX
@given(st.lists(edits, min_size=1, max_size=40), st.lists(objects, max_size=12), one_of(None, "shop/wp", "shop/wp"))
def test_edits_lead_to_what_is_read_at_once(steps: list[Any], more: list[Object], wanted: str | None) -> None:
    manifests = Manifests(*shop())
    for each in more:
        manifests.edit("put", each, "b.yaml")
    loader, answers = Loader(wanted), {}
    last = loader.load(manifests.documents())
    compare(last, load(manifests.documents(), wanted))
    for what, subject, where in steps:
        if what == "answer":
            answers[subject] = where
            loader.answer(subject, where)
        else:
            manifests.edit(what, subject, where)
        found = loader.load(manifests.documents())
        compare(found, read_at_once(manifests, answers, wanted))
        if found.snapshot and last.snapshot:
            compare_with_last(found.snapshot, last.snapshot)
        last = found if found.snapshot else last


def read_at_once(manifests: Manifests, answers: Mapping[str, Any], wanted: str | None) -> Loaded:
    fresh = Loader(wanted)
    for name, addresses in answers.items():
        fresh.answer(name, addresses)
    return fresh.load(manifests.documents())


SELECTING: Object = {"workloadSelector": {"labels": {"app": "cart"}}}
RULE = rule({"outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 100}})


def guarding(kind: str, name: str, ns: str = "shop") -> Object:
    return thing(
        "AuthorizationPolicy", "security.istio.io/v1", "guard", ns, spec={"targetRefs": [{"kind": kind, "name": name}]}
    )


@pytest.mark.parametrize(
    ("around", "subject"),
    [
        ([], endpoint_slice(member("10.0.0.9"), name="more")),
        ([], service("till")),
        ([selecting()], entry()),
        ([], entry()),
        ([], pod("cart-1", account="a")),
        ([endpoint_slice(member("10.0.0.1"))], pod("x", "10.0.0.1", annotations=CAPTURED)),
        ([], RULE),
        ([], rule({"outlierDetection": {}}, host="*.local")),
        ([], rule({"outlierDetection": {}}, host=FULL, ns="istio-system")),
        ([rule(None, name="first")], RULE),
        ([RULE], rule({"connectionPool": {"tcp": {"connectTimeout": "2s"}}}, name="a")),
        ([], rule({}, host="gone")),
        ([], guarding("Service", "cart")),
        ([], guarding("Gateway", "wp")),
        ([], guarding("GatewayClass", "istio-waypoint", "istio-system")),
        (
            [gateway(hbone()), endpoint_slice(member("10.0.0.1"))],
            namespace("shop", {USE: "wp", "istio.io/dataplane-mode": "ambient"}),
        ),
        ([gateway(hbone())], pod("cart-1", labels={"istio.io/dataplane-mode": "ambient"})),
        ([], namespace("shop", {USE: "none"})),
        (
            [gateway(listener(**SOME)), service(ns="far"), endpoint_slice(ns="far")],
            namespace("far", {USE: "wp", USE_NS: "shop", "team": "a"}),
        ),
        (
            [service(spec={"externalIPs": ["192.0.2.1"]}), service("b", spec={"externalIPs": ["192.0.2.1"]})],
            service("a", spec={"externalIPs": ["192.0.2.1"]}),
        ),
        (
            [service("z", spec={"externalIPs": ["192.0.2.1"]})],
            service("a", ports=[{"name": "http", "port": 90}], spec={"externalIPs": ["192.0.2.1"]}),
        ),
        ([], gateway(listener(), hbone())),
        ([], gateway(listener(), labels={"istio.io/waypoint-for": "none"})),
        (
            [],
            thing(
                "GatewayClass",
                "gateway.networking.k8s.io/v1",
                "istio-waypoint",
                labels={"istio.io/waypoint-for": "none"},
            ),
        ),
        ([], external()),
        ([external(endpoints=[{"address": "10.0.0.1"}])], pod("x", "10.0.0.1", annotations=CAPTURED)),
        ([external(**SELECTING)], pod("x", "10.0.0.1", labels={"app": "cart"})),
        ([external(**SELECTING)], entry()),
        ([external(**SELECTING, resolution="DNS")], entry(address="vm.example")),
        ([external(created="2025-01-02T00:00:00Z")], external("older", created="2025-01-01T00:00:00Z")),
        ([external(created="2025-01-01T00:00:00Z")], external("newer", created="2025-01-02T00:00:00Z")),
        ([external(ns="far", labels={USE: "wp", USE_NS: "shop"}), gateway(listener(**ALL))], external()),
        ([external(hosts=["till.shop"])], service("till")),
        ([external(hosts=["till"])], service("till")),
        ([], external(hosts=["cart.shop.svc.cluster.local"])),
        ([external()], rule({"outlierDetection": {"maxEjectionPercent": 100}}, host="api.example.com")),
        ([external()], rule({"outlierDetection": {"maxEjectionPercent": 100}}, host="*.example.com")),
        ([external()], guarding("ServiceEntry", "api")),
        ([external()], virtual(http(SOME_CART, hosts=("api.example.com",)))),
        ([], virtual(http(SOME_CART))),
        ([virtual(http({"delegate": {"name": "v"}}), "root")], virtual({"http": [SOME_CART]}, "v")),
        ([virtual(http(SOME_CART))], rule(spec={"subsets": [{"name": "some", "labels": {"app": "cart"}}]})),
        ([virtual(http(SOME_CART, hosts=("till",))), rule(spec={"subsets": [{"name": "some"}]})], service("till")),
        ([], external(addresses=None, annotations={"waypointd.io/acknowledged": "true"}, **{"resolution": "DNS"})),
    ],
)
def test_an_object_that_comes_and_goes(around: list[Object], subject: Object) -> None:
    """What concerns what, one by one."""
    without = Manifests(*shop())
    for each in around:
        without.edit("put", each, "c.yaml")
    also = Manifests(*shop())
    for each in (*around, subject):
        also.edit("put", each, "c.yaml")
    loader = Loader()
    loader.load(without.documents())
    came = loader.load(also.documents())
    went = loader.load(without.documents())
    assert came != went, "that object makes no difference, so it shows nothing"
    compare(came, load(also.documents()))
    compare(went, load(without.documents()))
