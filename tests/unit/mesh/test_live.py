"""Objects one by one, as an API gives them: a bad one keeps its own last good version, and nothing waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.mesh.model import Cluster, Snapshot
from proxy.mesh.resolving.live import Live
from proxy.mesh.resolving.load import Document, Loader, load

DEMO = Path(__file__).parents[3] / "conf" / "demo"
NAME = "httpbin/in-ambient:8000"


def objects() -> Iterator[dict[str, Any]]:
    for file in sorted(DEMO.glob("*.yaml")):
        for body in yaml.safe_load_all(file.read_text()):
            yield from body["items"] if body["kind"] == "List" else [body]


class Rig:
    def __init__(self) -> None:
        self.loader = Loader("httpbin/httpbin-waypoint")
        self.live = Live(self.loader, "kubernetes")
        self.bodies = {(each["kind"], each["metadata"]["name"]): each for each in objects()}
        for id, body in self.bodies.items():
            self.live.put(id, body)

    @property
    def snapshot(self) -> Snapshot:
        loaded = self.loader.loaded()
        assert loaded.snapshot, (loaded.reason, loaded.faults)
        return loaded.snapshot

    @property
    def cluster(self) -> Cluster:
        return self.snapshot.clusters[NAME]

    def put(self, kind: str, name: str, namespace: str = "httpbin", **spec: Any) -> None:
        group = {"DestinationRule": "networking.istio.io/v1", "AuthorizationPolicy": "security.istio.io/v1"}[kind]
        metadata = {"name": name, "namespace": namespace}
        body: dict[str, Any] = {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}
        self.live.put((kind, f"{namespace}/{name}"), body)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def rule(**outlier: Any) -> dict[str, Any]:
    return {"host": "in-ambient", "trafficPolicy": {"outlierDetection": outlier}}


def test_the_same_as_from_files(rig: Rig) -> None:
    documents = [Document(file.name, file.read_text()) for file in sorted(DEMO.glob("*.yaml"))]
    from_files = load(documents, "httpbin/httpbin-waypoint").snapshot
    assert from_files and rig.snapshot.clusters == from_files.clusters
    assert rig.snapshot.listeners == from_files.listeners


def test_a_bad_object_keeps_its_last_good_version(rig: Rig) -> None:
    for key in [key for key in rig.bodies if key[0] == "DestinationRule"]:
        rig.live.drop(key)
    rig.put("DestinationRule", "r", **rule(consecutive5xxErrors=7))
    assert rig.cluster.outlier and rig.cluster.outlier.consecutive_5xx == 7
    rig.put("DestinationRule", "r", **rule(consecutive5xxErrors="many"))
    assert rig.cluster.outlier.consecutive_5xx == 7
    (said,) = rig.live.refused()
    assert said.startswith("kubernetes: DestinationRule httpbin/r: spec.trafficPolicy.outlierDetection")
    assert said.endswith("; its last good version stays in force")
    rig.put("DestinationRule", "r", **rule(consecutive5xxErrors=2))
    assert rig.cluster.outlier.consecutive_5xx == 2 and rig.live.refused() == []


def test_a_field_of_a_newer_version_is_told_and_stops_nothing(rig: Rig) -> None:
    """An API server has lost what it does not know, so it is no slip of the pen."""
    key = next(key for key in rig.bodies if key[0] == "DestinationRule")
    body = rig.bodies[key]
    body["spec"] = rule(consecutive5xxErrors=7, newest=1)
    rig.live.put(key, body)
    assert rig.live.refused()[0].endswith("its last good version stays in force")
    body["metadata"]["uid"] = "1"
    rig.live.put(key, body)
    assert rig.cluster.outlier and rig.cluster.outlier.consecutive_5xx == 7
    (said,) = [each for each in rig.loader.loaded().warnings if "newest" in each]
    assert said.endswith("outlierDetection.newest: is not known in this version, so it does nothing")


def test_nothing_else_waits_for_a_bad_one(rig: Rig) -> None:
    rig.put("DestinationRule", "bad", **rule(interval="soon"))
    before = len(rig.cluster.endpoints)
    slices = next(body for (kind, _), body in rig.bodies.items() if kind == "EndpointSlice" and len(body["endpoints"]))
    slices["endpoints"] = slices["endpoints"][1:]
    rig.live.put(("EndpointSlice", slices["metadata"]["name"]), slices)
    assert len(rig.cluster.endpoints) == before - 1
    assert rig.live.refused()[0].endswith("; it is left out until that is mended")


def test_a_bad_object_that_goes_is_forgotten(rig: Rig) -> None:
    rig.put("DestinationRule", "bad", **rule(interval="soon"))
    rig.live.drop(("DestinationRule", "httpbin/bad"))
    assert rig.live.refused() == []


@pytest.mark.parametrize(("namespace", "closes"), [("httpbin", True), ("istio-system", True), ("other", False)])
def test_a_policy_that_was_never_good_closes_what_it_may_guard(rig: Rig, namespace: str, closes: bool) -> None:
    rig.put("AuthorizationPolicy", "p", namespace, rules="all")
    assert bool(rig.cluster.closed) is closes
    if closes:
        assert "cannot be read, so what it may guard is closed" in rig.cluster.closed
    rig.live.drop(("AuthorizationPolicy", f"{namespace}/p"))
    assert rig.cluster.closed == ""
