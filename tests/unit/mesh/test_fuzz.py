"""load() never raises: the demo manifests with values replaced, removed, doubled, and with the text itself damaged."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.mesh.resolving.load import Document, load
from tests.unit.mesh.mesh_rig import (
    clusters_of,
    demo_documents,
    entry,
    hbone,
    listener,
    names_of,
    pod,
    rule,
    service,
    thing,
)

LAX = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None)

OBJECTS: list[Any] = [yaml.safe_load(document.text) for document in demo_documents()] + [
    rule(
        {
            "loadBalancer": {
                "consistentHash": {"httpCookie": {"name": "a", "ttl": "1s", "attributes": [{"name": "b"}]}},
                "localityLbSetting": {
                    "distribute": [{"from": "a/*", "to": {"a": 50, "b": 50}}, {"from": "b", "to": {"b": 100}}],
                    "failoverPriority": ["topology.istio.io/subzone=a"],
                },
            },
            "connectionPool": {"tcp": {"connectTimeout": "1s"}, "http": {"maxRetries": 1}},
            "portLevelSettings": [{"port": {"number": 8000}, "outlierDetection": {"interval": "1s"}}],
            "tls": {"mode": "SIMPLE", "credentialName": "configmap://httpbin/b"},
            "retryBudget": {"percent": 20},
        },
        ns="httpbin",
        host="*.local",
        spec={
            "exportTo": ["*"],
            "subsets": [{"name": "v1", "labels": {"a": "b"}, "trafficPolicy": {"loadBalancer": {}}}],
        },
        annotations={"waypointd.io/abandoned-request-timeout": "2s"},
        creationTimestamp="2025-01-01T00:00:00Z",
    ),
    service(
        "till",
        "httpbin",
        ports=[{"name": "grpc", "port": 80}, {"name": "tcp", "port": 81, "targetPort": "x"}],
        spec={"selector": {"app": "till"}},
        status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    ),
    pod("p", "127.10.0.15", "in-ambient", "httpbin", annotations={"ambient.istio.io/redirection": "enabled"}),
    pod("q", "127.10.0.16", ns="httpbin", labels={"networking.istio.io/tunnel": "http"}, spec={"hostNetwork": False}),
    entry(ns="httpbin", ports={"web": 80}, labels={"app": "till"}, serviceAccount="a", network="n", weight=1),
    entry("vm-2", "httpbin", annotations={"proxy.istio.io/health-checks-enabled": "true"}, own_labels={"app": "till"}),
    thing(
        "AuthorizationPolicy",
        "security.istio.io/v1",
        "deny",
        "httpbin",
        spec={
            "targetRefs": [{"kind": "Service", "name": "till"}],
            "action": "DENY",
            "rules": [{"to": [{"operation": {"paths": ["/a*"]}}], "when": [{"key": "source.ip", "values": ["::1"]}]}],
        },
    ),
    thing("GatewayClass", "gateway.networking.k8s.io/v1", "istio-waypoint", labels={"istio.io/waypoint-for": "all"}),
    {
        "apiVersion": "v1",
        "kind": "List",
        "items": [thing("Service", "v1", "listed", "httpbin", spec={"ports": [{"port": 1}]})],
    },
]

for each in OBJECTS:
    if each["kind"] == "Gateway":
        each["spec"]["listeners"].append(hbone())

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"": None}),
    st.just([[]]),
    st.just([{}]),
    st.just({"name": {}}),
    st.just(10**30),
    st.just("9" * 400),
    st.sampled_from(
        ["*", ".", "a/b", "::1", "127.0.0.1", "10s", "-1s", "80", "none", "None", "HTTP", "Selector", "Service"]
    ),
    st.just(listener()),
    st.just({"from": "Selector", "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, each in inner:
        found += places(each, (*path, key))
    return found


PLACES = places(OBJECTS)


def mutate(objects: Any, path: tuple[Any, ...], how: str, value: Any) -> None:
    here = objects
    for step in path[:-1]:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return
    last = path[-1]
    if not isinstance(here, dict | list) or (
        isinstance(here, list) and not (isinstance(last, int) and last < len(here))
    ):
        return
    if how == "remove":
        here.pop(last, None) if isinstance(here, dict) else here.pop(last)
    elif how == "double" and isinstance(here, list):
        here.append(copy.deepcopy(here[last]))
    elif how == "rename" and isinstance(here, dict):
        here[str(last)[:-1]] = here.pop(last, None)
    else:
        here[last] = value


MUTATION = st.tuples(st.sampled_from(PLACES), st.sampled_from(["replace", "remove", "double", "rename"]), ODD)
GATEWAY = st.sampled_from([None, "httpbin/httpbin-waypoint", "a/b", "", "/"])


@LAX
@given(st.lists(MUTATION, min_size=1, max_size=4), GATEWAY)
def test_replaced_values_never_raise(mutations: list[Any], gateway: str | None) -> None:
    objects = copy.deepcopy(OBJECTS)
    for path, how, value in mutations:
        mutate(objects, path, how, copy.deepcopy(value))
    texts = [yaml.dump(each, Dumper=yaml.CSafeDumper) for each in objects]
    result = load([Document(f"{index}.yaml", text) for index, text in enumerate(texts)], gateway)
    check(result)


@LAX
@given(st.data())
def test_damaged_text_never_raises(data: st.DataObject) -> None:
    text = "---\n".join(document.text for document in demo_documents())
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    middle = data.draw(st.one_of(st.text(max_size=6), st.sampled_from([*"[]{}:&*!|>%@`'\"\t-?#", "<<: ", "&a ", "*a"])))
    check(load([Document("all.yaml", text[:start] + middle + text[end:])]))


@LAX
@given(st.text(max_size=200))
def test_any_text_never_raises(text: str) -> None:
    check(load([Document("any.yaml", text)]))


def check(result: Any) -> None:
    """Faults and a snapshot exclude each other, and everything said is one line."""
    for text in [*map(str, result.faults), *result.warnings]:
        assert text.isprintable()
        assert text
    assert not (result.faults and result.snapshot)
    assert result.snapshot or result.reason
    if result.snapshot:
        for listener_ in result.snapshot.listeners:
            assert all(name == name.lower() for name in names_of(listener_))
            assert set(names_of(listener_).values()) <= set(clusters_of(listener_)) <= result.snapshot.clusters.keys()


def test_the_unmutated_objects_are_valid() -> None:
    result = load([Document(f"{index}.yaml", yaml.safe_dump(each)) for index, each in enumerate(OBJECTS)])
    assert result.snapshot is not None, [str(fault) for fault in result.faults]
