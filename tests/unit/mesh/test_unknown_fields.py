"""Fields that a kind has not are told, of every kind that is read; a dump, of a newer cluster too, says nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.mesh.resolving.load import Document, load
from tests.unit.mesh.mesh_rig import (
    Object,
    demo_documents,
    documents,
    endpoint_slice,
    entry,
    external,
    gateway,
    listener,
    loaded,
    member,
    namespace,
    pod,
    rule,
    service,
    shop,
    thing,
)

DUMP = (Path(__file__).parent / "dumps" / "cluster.yaml").read_text()
DEPLOYED = Path(__file__).parents[3] / "deploy" / "kubernetes" / "manifests"
LIST = {"apiVersion": "v1", "kind": "List"}
GATEWAY_API = "gateway.networking.k8s.io/v1"


def told(*objects: Object) -> list[str]:
    return [each for each in loaded(*objects).warnings if "is not a known field" in each]


def port(**more: Any) -> Object:
    return {"name": "http", "port": 80, "targetPort": 8080, **more}


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        pytest.param(
            {**endpoint_slice(name="b"), "endpoint": []}, 'endpoint: is not a known field (did you mean "endpoints"?)',
            id="F32-N22",
        ),
        (service("till", spec={"selectors": {"a": "b"}}), 'spec.selectors: is not a known field (did you mean "s'),
        (service("till", ports=[port(apProtocol="http")]), 'spec.ports[0].apProtocol: is not a known field (did you'),
        (service("till", ports=[port(targetport=80)]), '(did you mean "targetPort"?), so it does nothing'),
        (service("till", spec={"clusterIp": "10.1.1.1"}), '(did you mean "clusterIP"?)'),
        (service("till", spec={"quux": 1}), "spec.quux: is not a known field, so it does nothing"),
        ({**service("till"), "specs": {}}, 'specs: is not a known field (did you mean "spec"?)'),
        (
            thing("Pod", "v1", "p", spec={"serviceAccountNam": "cart"}),
            'spec.serviceAccountNam: is not a known field (did you mean "serviceAccountName"?)',
        ),
        ({**endpoint_slice({**member("10.0.0.9"), "condition": {}}, name="b")}, "endpoints[0].condition: is not a "),
        (endpoint_slice({**member("10.0.0.9"), "conditions": {"redy": True}}, name="b"), '(did you mean "ready"?)'),
        (endpoint_slice({**member("10.0.0.9"), "targetRef": {"nam": "a"}}, name="b"), 'targetRef.nam: is not a known'),
        (gateway(listener(alowedRoutes={}), name="b"), 'listeners[0].alowedRoutes: is not a known field (did you mean'),
        (
            gateway(listener(allowedRoutes={"namespace": {"from": "All"}}), name="b"),
            'allowedRoutes.namespace: is not a known field (did you mean "namespaces"?)',
        ),
        (gateway(listener(hostnames=[]), name="b"), 'spec.listeners[0].hostnames: is not a known field (did you mean'),
        (thing("GatewayClass", GATEWAY_API, "c", spec={"controller": "x"}), "spec.controller: is not a known field"),
        (thing("Node", "v1", "n", spec={"podCIDRS": []}), '(did you mean "podCIDRs"?)'),
        (
            {**external(), "state": {}},
            "ServiceEntry shop/api: state: is not a known field",
        ),
        ({**rule(), "specification": {}}, "DestinationRule shop/rule: specification: is not a known field"),
        ({**entry(), "state": {}}, "WorkloadEntry shop/vm: state: is not a known field"),
        (
            thing("AuthorizationPolicy", "security.istio.io/v1", "a", spc={"action": "DENY"}),
            'AuthorizationPolicy shop/a: spc: is not a known field (did you mean "spec"?)',
        ),
    ],
)  # fmt: skip
def test_an_unknown_field_is_told(subject: Object, said: str) -> None:
    """N22, and that part of Deliver 8."""
    (line,) = told(*shop(subject)) if subject["kind"] != "Gateway" else told(namespace(), subject)
    assert said in line


@pytest.mark.parametrize("kind", [namespace(), gateway(), service(), endpoint_slice(), pod("a"), rule(), entry()])
def test_unknown_fields_of_metadata_are_told_for_every_kind(kind: Object) -> None:
    subject = copy.deepcopy(kind)
    subject["metadata"]["label"] = {"istio.io/use-waypoint": "wp"}
    (line,) = told(subject)
    assert 'metadata.label: is not a known field (did you mean "labels"?)' in line


def test_the_same_mistake_is_told_once() -> None:
    members = [{**member(f"10.0.0.{last}"), "zon": "a"} for last in range(1, 6)]
    (line,) = told(*shop(endpoint_slice(*members, name="b")))
    assert "endpoints[0].zon: is not a known field" in line and "(the same in 4 more places)" in line
    pods = [thing("Pod", "v1", f"p{number}", spec={"acount": "x"}) for number in range(10, 25)]
    (line,) = (str(each) for each in load([Document("pods.json", json.dumps({"items": pods} | LIST))]).warnings)
    assert "Pod shop/p10: spec.acount: " in line
    assert line.endswith("; the same: " + ", ".join(f"shop/p{number}" for number in range(11, 21)) + " and 4 more")


def test_many_different_ones_are_bounded() -> None:
    assert len(told(*shop(service("till", spec={f"f{number}": 1 for number in range(50)})))) == 10


def test_they_are_acknowledged_like_other_warnings() -> None:
    known = {"waypointd.io/acknowledged": "true"}
    result = loaded(*shop(service("till", spec={"quux": 1}, annotations=known), service("cash", spec={"quux": 1})))
    assert [each for each in result.acknowledged if "shop/till: spec.quux" in each]
    (line,) = (each for each in result.warnings if "quux" in each)
    assert "shop/cash" in line and "till" not in line


def test_a_field_is_not_told_twice_where_it_is_a_fault() -> None:
    """In what its reader knows whole an unknown field stays a fault."""
    odd = gateway(listener(allowedRoutes={"namespaces": {"from": "Selector", "selector": {"matchLabel": {}}}}))
    result = loaded(odd)
    assert ["matchLabel" in str(each) for each in result.faults] == [True]
    assert not [each for each in result.warnings if "matchLabel" in each]


def test_a_dump_of_a_cluster_says_nothing() -> None:
    result = load([Document("dump.yaml", DUMP)], "shop/wp")
    assert (result.faults, result.warnings) == ((), ())
    assert result.snapshot is not None and len(result.snapshot.clusters["shop/cart:80"].endpoints) == 2


def changed(name: str, kind: str, *path: str | int) -> list[str]:
    """What is said of the dump with a field more in one object: what a newer cluster, or an editor, put there."""
    dump: Any = yaml.safe_load(DUMP)
    here = next(each for each in dump["items"] if each["kind"] == kind)
    for step in path:
        here = here[step]
    here[name] = "new"
    return [each for each in load(documents(dump), "shop/wp").warnings if "is not a known field" in each]


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("backendProtocolHints", "Service", ("spec", "ports", 0)),
        ("addressFamilies", "Service", ("spec",)),
        ("clusterIPS", "Service", ("spec",)),  # there are clusterIP and clusterIPs beside it
        ("schedulingPolicies", "Pod", ("spec",)),
        ("healthScore", "EndpointSlice", ("endpoints", 0, "conditions")),
        ("namespaceUID", "EndpointSlice", ("metadata",)),
        ("retryBudget", "Gateway", ("spec", "listeners", 0)),
        ("anything", "Service", ("status",)),
    ],
)
def test_what_a_newer_cluster_writes_is_no_mistake(name: str, kind: str, path: tuple[str | int, ...]) -> None:
    assert changed(name, kind, *path) == []


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("host_network", "Pod", ("spec",)),
        ("externalIP", "Service", ("spec",)),
        ("tls_", "Gateway", ("spec", "listeners", 0)),
    ],
)
def test_a_slip_in_an_edited_dump_is_told(name: str, kind: str, path: tuple[str | int, ...]) -> None:
    assert len(changed(name, kind, *path)) == 1


@pytest.mark.parametrize("kind", ["DestinationRules", "Servicee"])
def test_a_misspelt_kind_can_be_acknowledged(kind: str) -> None:
    api = "v1" if kind.startswith("S") else "networking.istio.io/v1"
    odd = thing(kind, api, "r")
    assert len(loaded(*shop(odd)).warnings) == 1
    odd["metadata"]["annotations"] = {"waypointd.io/acknowledged": "true"}
    result = loaded(*shop(odd))
    assert (result.warnings, len(result.acknowledged)) == ((), 1)


def test_the_shipped_manifests_have_known_fields_only() -> None:
    shipped = [Document(path.name, path.read_text()) for path in sorted(DEPLOYED.glob("*.yaml"))]
    for each in (demo_documents(), shipped):
        assert load(each).warnings == ()
