"""Where endpoints are, and in which groups that puts them: table 3.3 of what is known of Istio's DestinationRule."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Cluster, Locality, Spread
from proxy.mesh.resolving.here import NOBODY, Own, own
from proxy.mesh.resolving.load import Loader
from tests.unit.mesh.mesh_rig import (
    Object,
    documents,
    endpoint_slice,
    entry,
    external,
    gateway,
    namespace,
    pod,
    rule,
    service,
)

REGION, ZONE, SUBZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"
EJECTS: Object = {"outlierDetection": {"maxEjectionPercent": 100}}
NAME = "shop/cart:80"


def node(name: str, region: str = "", zone: str = "", subzone: str = "") -> Object:
    labels = {name: value for name, value in ((REGION, region), (ZONE, zone), (SUBZONE, subzone)) if value}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


NODES = [
    node("here", "eu", "a", "x"),
    node("rack", "eu", "a", "y"),
    node("zone", "eu", "b", "x"),
    node("us", "us", "a", "x"),
    node("asia", "asia", "a", "x"),
]


def member(ip: str, on: str = "", **more: Any) -> Object:
    return {"addresses": [ip], "conditions": {"ready": True}, **({"nodeName": on} if on else {}), **more}


def mesh(*objects: Object, on: tuple[str, ...] = ("asia", "us", "zone", "rack", "here"), **spec: Any) -> list[Object]:
    """A Service with an endpoint on each of these Nodes, the last part of its address says which."""
    members = [member(f"10.0.0.{at + 1}", name) for at, name in enumerate(on)]
    return [namespace(), gateway(), service(spec=spec), endpoint_slice(*members), *NODES, *objects]


def resolved(*objects: Object, me: Own = NOBODY) -> Cluster:
    found = Loader(None, me).load(documents(*objects))
    assert found.snapshot, [str(fault) for fault in found.faults]
    return found.snapshot.clusters[NAME]


def at(region: str = "eu", zone: str = "a", subzone: str = "x", **labels: str) -> Own:
    return own(
        None, f"{region}/{zone}/{subzone}".rstrip("/"), {name.replace("_", "/"): each for name, each in labels.items()}
    )


def grouped(cluster: Cluster) -> list[list[str]]:
    """The last parts of the addresses, group by group."""
    ends = [each.ip.rpartition(".")[2] for each in cluster.endpoints]
    if cluster.spread is None:
        return [ends]
    found = []
    for group in cluster.spread.groups:
        found.append(ends[: group.size])
        ends = ends[group.size :]
    assert not ends
    return found


def setting(**fields: Any) -> Object:
    return {"loadBalancer": {"localityLbSetting": fields}}


OTHER_REGION = {"failover": [{"from": "eu", "to": "us"}]}
BY_VERSION = {"failoverPriority": ["version", REGION]}
VERSIONS = [
    pod(f"cart-{name}", f"10.0.0.{at}", labels={"version": version})
    for at, (name, version) in enumerate((("a", "v2"), ("b", "v1"), ("c", "v1"), ("d", "v2"), ("e", "v2")), 1)
]


@pytest.mark.parametrize(
    ("policy", "spec", "groups"),
    [
        pytest.param(EJECTS, {}, [["5"], ["4"], ["3"], ["1", "2"]], id="default failover"),
        pytest.param({}, {}, [["1", "2", "3", "4", "5"]], id="no failover without outlierDetection"),
        pytest.param(setting(**OTHER_REGION), {}, [["1", "2", "3", "4", "5"]], id="nor a rule's"),
        pytest.param(EJECTS | setting(**OTHER_REGION), {}, [["5"], ["4"], ["3"], ["2"], ["1"]], id="failover from/to"),
        pytest.param(
            EJECTS | setting(failover=[{"from": "us", "to": "asia"}]),
            {},
            [["5"], ["4"], ["3"], ["1", "2"]],
            id="failover of another region",
        ),
        pytest.param(
            EJECTS | setting(failoverPriority=[REGION, ZONE]),
            {},
            [["4", "5"], ["3"], ["1", "2"]],
            id="failoverPriority",
        ),
        pytest.param(
            EJECTS | setting(failoverPriority=[f"{REGION}=us"]),
            {},
            [["2"], ["1", "3", "4", "5"]],
            id="failoverPriority label=value",
        ),
        pytest.param(
            EJECTS | setting(failoverPriority=["kubernetes.io/hostname=zone", REGION]),
            {},
            [["3"], ["1", "2", "4", "5"]],
            id="failoverPriority: the first mismatch decides",
        ),
        pytest.param(
            EJECTS | setting(failoverPriority=["kubernetes.io/hostname=us"], failover=[{"from": "eu", "to": "asia"}]),
            {},
            [["2"], ["5"], ["4"], ["3"], ["1"]],
            id="failoverPriority, then failover",
        ),
        pytest.param(EJECTS | setting(enabled=False), {}, [["1", "2", "3", "4", "5"]], id="enabled:false"),
        pytest.param(
            EJECTS | setting(enabled=False),
            {"trafficDistribution": "PreferClose"},
            [["1", "2", "3", "4", "5"]],
            id="precedence: the rule over trafficDistribution",
        ),
        pytest.param(
            {},
            {"trafficDistribution": "PreferClose"},
            [["4", "5"], ["3"], ["1", "2"]],
            id="trafficDistribution PreferClose, without outlierDetection",
        ),
        pytest.param(
            EJECTS,
            {"trafficDistribution": "PreferSameZone"},
            [["4", "5"], ["3"], ["1", "2"]],
            id="precedence: trafficDistribution over the mesh",
        ),
        pytest.param(
            EJECTS | {"loadBalancer": {"simple": "PASSTHROUGH"}},
            {"trafficDistribution": "PreferClose"},
            [["1", "2", "3", "4", "5"]],
            id="PASSTHROUGH knows no places",
        ),
    ],
)
def test_3_3_priorities(policy: Object, spec: Object, groups: list[list[str]]) -> None:
    cluster = resolved(*mesh(*([rule(policy)] if policy else []), **spec), me=at())
    assert grouped(cluster) == groups
    assert cluster.spread is None or cluster.spread.failover


def test_3_3_trafficDistribution_PreferSameNode() -> None:
    mine = pod("wp-1", "10.1.0.1", spec={"nodeName": "rack"})
    twin = node("twin", "eu", "a", "y")
    objects = mesh(mine, twin, on=("us", "here", "twin", "rack"), trafficDistribution="PreferSameNode")
    cluster = resolved(*objects, me=own(("shop", "wp-1"), None, {}))
    assert grouped(cluster) == [["4"], ["3"], ["2"], ["1"]]


@pytest.mark.parametrize("where", ["Service", "Namespace"])
def test_3_3_trafficDistribution_by_annotation(where: str) -> None:
    objects = mesh()
    holder = next(each for each in objects if each["kind"] == where)
    holder["metadata"]["annotations"] = {"networking.istio.io/traffic-distribution": "PreferClose"}
    assert grouped(resolved(*objects, me=at())) == [["4", "5"], ["3"], ["1", "2"]]


def test_3_3_failoverPriority_by_labels_of_pods() -> None:
    objects = mesh(*VERSIONS, rule(EJECTS | setting(**BY_VERSION)))
    assert grouped(resolved(*objects, me=at(version="v2"))) == [["4", "5"], ["1"], ["2", "3"]]
    assert grouped(resolved(*objects, me=at(version="v1"))) == [["3"], ["2"], ["1", "4", "5"]]


def test_3_3_failoverPriority_a_network_that_differs_is_worse_than_all() -> None:
    network = "topology.istio.io/network"
    pods = [pod(f"c-{at}", f"10.0.0.{at}", labels={network: "n1" if at < 4 else "n2"}) for at in range(1, 6)]
    objects = mesh(*pods, rule(EJECTS | setting(failoverPriority=[network, REGION])))
    me = own(None, "eu/a/x", {network: "n1"})
    assert grouped(resolved(*objects, me=me)) == [["3"], ["1", "2"], ["4", "5"]]


def test_3_3_without_any_place_of_our_own_all_are_alike() -> None:
    assert grouped(resolved(*mesh(rule(EJECTS)))) == [["1", "2", "3", "4", "5"]]


# -- distribute -------------------------------------------------------------------------------------------------------


def weights(cluster: Cluster) -> list[tuple[list[str], int]]:
    assert cluster.spread and not cluster.spread.failover
    return [(ends, group.weight) for ends, group in zip(grouped(cluster), cluster.spread.groups, strict=True)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(
            [{"from": "eu/*", "to": {"eu/a/*": 80, "us": 20}}],
            [(["2"], 20), (["4"], 40), (["5"], 40), (["1", "3"], 0)],
            id="what is not listed gets nothing, a wildcard is shared",
        ),
        pytest.param(
            [{"from": "us", "to": {"us": 100}}, {"from": "*", "to": {"asia": 1, "*": 99}}],
            [(["1"], 1), (["2"], 25), (["3"], 25), (["4"], 25), (["5"], 25)],
            id="the first row that is for us",
        ),
        pytest.param(
            [{"from": "eu/a/x", "to": {"eu/a": 70, "eu/b": 30}}],
            [(["3"], 30), (["4"], 35), (["5"], 35), (["1", "2"], 0)],
            id="rounded up",
        ),
    ],
)
def test_3_3_distribute(rows: list[Object], expected: list[tuple[list[str], int]]) -> None:
    assert weights(resolved(*mesh(rule(setting(distribute=rows))), me=at())) == expected


def test_3_3_distribute_that_is_not_for_us_does_nothing() -> None:
    objects = mesh(rule(EJECTS | setting(distribute=[{"from": "us", "to": {"us": 100}}])))
    assert resolved(*objects, me=at()).spread is None


# -- where endpoints are ----------------------------------------------------------------------------------------------


def places(cluster: Cluster) -> list[str]:
    return [str(each.locality) for each in cluster.endpoints]


def test_an_endpoint_is_where_its_node_is() -> None:
    assert places(resolved(*mesh())) == ["asia/a/x", "us/a/x", "eu/b/x", "eu/a/y", "eu/a/x"]


def test_the_slices_zone_counts_where_nothing_else_is_known() -> None:
    objects = [
        namespace(),
        gateway(),
        service(),
        endpoint_slice(member("10.0.0.1", "gone", zone="b"), member("10.0.0.2")),
    ]
    assert [each.locality for each in resolved(*objects).endpoints] == [Locality(zone="b"), Locality()]


def test_a_pods_own_label_counts_more_than_its_node_and_its_node_more_than_topology_labels() -> None:
    marked = pod("a", "10.0.0.1", labels={"istio-locality": "mars.north"}, spec={"nodeName": "here"})
    told = pod("b", "10.0.0.2", labels={REGION: "moon", ZONE: "z"}, spec={"nodeName": "nowhere"})
    both = pod("c", "10.0.0.3", labels={REGION: "moon"}, spec={"nodeName": "here"})
    old = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "old"}}
    old["metadata"] |= {"labels": {"failure-domain.beta.kubernetes.io/region": "r"}}  # type: ignore[operator]
    slices = endpoint_slice(*(member(f"10.0.0.{at}") for at in (1, 2, 3)), member("10.0.0.4", "old"))
    objects = [namespace(), gateway(), service(), slices, *NODES, old, marked, told, both]
    assert places(resolved(*objects)) == ["mars/north", "moon/z", "eu/a/x", "r"]


def test_a_workload_entry_says_itself_where_it_is() -> None:
    objects = [
        namespace(),
        gateway(),
        service(spec={"selector": {"app": "cart"}}),
        entry("a", address="10.1.0.1", locality="eu/b/c"),
        entry("b", address="10.1.0.2", own_labels={"istio-locality": "eu.a"}),
        entry("c", address="10.1.0.3"),
    ]
    assert places(resolved(*objects)) == ["eu/b/c", "eu/a", "unknown"]


def test_we_are_where_our_pod_is_unless_somebody_says_otherwise() -> None:
    mine = pod("wp-1", "10.1.0.1", spec={"nodeName": "us"})

    def first(me: Own, *more: Object) -> str:
        spread = resolved(*mesh(rule(EJECTS), *more), me=me).spread
        assert spread
        return str(spread.here)

    me = ("shop", "wp-1")
    assert first(own(me, None, {}), mine) == "us/a/x"
    assert first(own(me, "eu/b", {}), mine) == "eu/b"
    assert first(own(None, None, {"istio-locality": "asia.a.x"})) == "asia/a/x"


# -- changes ----------------------------------------------------------------------------------------------------------


def spread_of(loader: Loader, *objects: Object) -> Spread | None:
    found = loader.load(documents(*objects)).snapshot
    assert found
    cluster = found.clusters[NAME]
    assert cluster == resolved(*objects, me=own(("shop", "wp-1"), None, {})), "as a fresh load has it"
    return cluster.spread


def test_nodes_and_our_own_pod_may_come_late_move_and_go() -> None:
    loader = Loader(None, own(("shop", "wp-1"), None, {}))
    objects = [each for each in mesh(rule(EJECTS)) if each["kind"] != "Node"]
    mine = pod("wp-1", "10.1.0.1", spec={"nodeName": "here"})
    assert spread_of(loader, *objects) is None
    assert spread_of(loader, *objects, mine) is None
    first = spread_of(loader, *objects, mine, *NODES)
    assert first and [each.size for each in first.groups] == [1, 1, 1, 2]
    moved = spread_of(loader, *objects, mine, node("here", "us", "z"), *NODES[1:])
    assert moved and [each.size for each in moved.groups] == [1, 1, 3]
    assert spread_of(loader, *objects, *NODES[:1]) is None, "who does not know where he is has nobody near"
    assert spread_of(loader, *objects) is None


def test_what_becomes_ready_tells_since_when() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-30T22:00:00Z"}]}
    waits = {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-30T22:00:00Z"}]}
    vm = entry("vm")
    vm["metadata"]["creationTimestamp"] = "2026-11-30T22:00:01Z"
    objects = [
        namespace(),
        gateway(),
        service(spec={"selector": {"app": "cart"}}),
        endpoint_slice(*(member(f"10.0.0.{at}") for at in (1, 2, 3))),
        pod("a", "10.0.0.1", status={"podIP": "10.0.0.1", **ready}),
        pod("b", "10.0.0.2", status={"podIP": "10.0.0.2", **waits}),
        vm,
    ]
    since = 1_796_076_000_000
    assert [each.joined_ms for each in resolved(*objects).endpoints] == [since, 0, 0, since + 1000]


@pytest.mark.parametrize(
    ("fields", "me", "said"),
    [
        (OTHER_REGION, NOBODY, "localityLbSetting: does nothing: where this replica runs is not known"),
        (
            {"distribute": [{"from": "eu", "to": {"mars": 100}}]},
            at(),
            "distribute: leaves no endpoint of shop/cart:80 any requests",
        ),
    ],
)
def test_a_setting_that_does_less_than_it_looks_is_told(fields: Object, me: Own, said: str) -> None:
    (warning,) = Loader(None, me).load(documents(*mesh(rule(EJECTS | setting(**fields))))).warnings
    assert said in warning


def test_a_distribution_that_is_none_is_told() -> None:
    found = Loader().load(documents(*mesh(trafficDistribution="PreferClosest")))
    (said,) = [each for each in found.warnings if "trafficDistribution" in each]
    assert 'is not known, so it does nothing (did you mean "PreferClose"?)' in said


def test_endpoints_of_a_service_entry_are_where_they_say_and_selected_pods_where_their_nodes_are() -> None:
    written = [{"address": f"192.0.2.{last}", "locality": where} for last, where in ((1, "us/a/x"), (2, "eu/a/x"))]
    labels = {"app": "cart"}
    objects = (
        *(namespace(), gateway(), *NODES, external(endpoints=written)),
        external("near", hosts=["near.test"], workloadSelector={"labels": labels}),
        *(pod(name, f"10.0.0.{at}", labels=labels, spec={"nodeName": name}) for at, name in enumerate(("us", "here"))),
        *(rule(EJECTS, host=host, name=host) for host in ("api.example.com", "near.test")),
    )
    found = Loader(None, at()).load(documents(*objects)).snapshot
    assert found
    for name in ("shop/api.example.com:80", "shop/near.test:80"):
        cluster = found.clusters[name]
        assert {each.locality for each in cluster.endpoints} == {Locality("us", "a", "x"), Locality("eu", "a", "x")}
        assert cluster.spread, "the nearer one comes first"


def test_traffic_distribution_of_a_service_entry_is_its_annotation() -> None:
    annotations = {"networking.istio.io/traffic-distribution": "PreferClose"}
    written = [{"address": f"192.0.2.{last}", "locality": where} for last, where in ((1, "us/a/x"), (2, "eu/a/x"))]
    objects = (namespace(), gateway(), external(endpoints=written, annotations=annotations))
    found = Loader(None, at()).load(documents(*objects)).snapshot
    assert found and found.clusters["shop/api.example.com:80"].spread
