"""The admin pages about DestinationRules, over files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from proxy.controller.configuration import Configuration
from proxy.controller.names import Names
from proxy.controller.rule_pages import RulePages
from tests.unit.mesh.mesh_rig import DEMO

CLUSTER = "httpbin/in-ambient:8000"


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    shutil.copytree(DEMO, tmp_path, dirs_exist_ok=True)
    return tmp_path


def ask(manifests: Path, page: str, **asked: str) -> tuple[int, Any]:
    configuration = Configuration([str(manifests)], None)
    assert configuration.refresh(False)
    status, kind, body = RulePages(configuration, Names()).queries[page](asked)
    return status, json.loads(body) if "json" in kind else body.decode()


def test_all_rules_are_listed_with_the_host_as_it_is_written(manifests: Path) -> None:
    (manifests / "more.yaml").write_text(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        "metadata: {name: a, namespace: zoo, creationTimestamp: 2026-01-01T00:00:00Z}\nspec: {host: Lion}\n"
    )
    status, found = ask(manifests, "/destinationrules")
    assert (status, found["namespace"]) == (200, "httpbin")
    first, second = found["rules"]
    assert (first["namespace"], first["name"], first["created"]) == ("httpbin", "in-ambient-failover", "")
    heading = {"kind": "DestinationRule", "namespace": "zoo", "name": "a", "created": "2026-01-01T00:00:00Z"}
    assert second == heading | {"host": "Lion"}


def test_a_policy_says_each_value_with_its_rule(manifests: Path) -> None:
    status, found = ask(manifests, "/policy", cluster=CLUSTER)
    assert (status, found["rule"], found["ejects"]) == (200, "httpbin/in-ambient-failover", True)
    values = {each["field"]: each for each in found["values"]}
    assert values["outlierDetection.consecutive5xxErrors"] == {
        "field": "outlierDetection.consecutive5xxErrors",
        "value": "3",
        "rule": "httpbin/in-ambient-failover",
        "path": "spec.trafficPolicy.outlierDetection.consecutive5xxErrors",
        "in_force": True,
    }
    assert (values["connectionPool.tcp.connectTimeout"]["rule"], values["waypointd.io/recovery"]["value"]) == (
        "",
        "full",
    )


def test_a_cluster_that_there_is_not_is_refused_with_those_there_are(manifests: Path) -> None:
    assert ask(manifests, "/policy", cluster="a") == (400, f"unknown cluster 'a'; there is: {CLUSTER}\n")
