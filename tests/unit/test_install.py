"""deploy/install.yaml and the chart: one and the same, and the deployer's rights are what it uses, no more, no less."""

from __future__ import annotations

import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.beside_istiod import CONTROLLER, SECRET
from proxy.kubernetes.deployer.children import METRICS_PORT, REDIS_FILES, REDIS_NAMES, children_of
from proxy.kubernetes.deployer.rights import rights_of
from tests.unit.kubernetes.deployer.wishes import MESH, SITE, wish

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "deploy" / "install.yaml"
CHART = ROOT / "deploy" / "helm" / "waypointd"

Right = tuple[str, str, str]
"""Group, resource (with its subresource) and verb."""


def documents() -> list[Any]:
    return list(yaml.safe_load_all(INSTALL.read_text()))


def rights(rules: Iterable[Any]) -> Iterator[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from ((group, resource, verb) for verb in rule["verbs"])


def used() -> Iterator[Right]:
    for watched in (*kinds.watches(), kinds.of_parameters("shop", "parameters")):
        yield from ((watched.resource.group, watched.resource.plural, verb) for verb in ("list", "watch"))
    for each in kinds.FOLLOWED:
        yield from ((each.group, each.plural, verb) for verb in ("get", "create", "patch", "delete"))
    yield from (("", "secrets", verb) for verb in ("get", "create", "patch"))
    yield kinds.GATEWAYS.group, "gateways", "get"
    for resource in (
        "gatewayclasses",
        *(f"{each}/status" for each in ("gatewayclasses", "gateways", "httproutes", "grpcroutes")),
    ):
        yield kinds.GATEWAYS.group, resource, "patch"


NAMING: dict[str, Any] = {
    "metadata": {"namespace": "shop", "name": "naming"},
    "spec": {
        "trafficPolicy": {"tls": {"mode": "MUTUAL", "credentialName": "ours"}},
        "subsets": [{"trafficPolicy": {"tls": {"mode": "SIMPLE", "credentialName": "configmap://shop/cas"}}}],
    },
}
"""A DestinationRule, for which a waypoint gets what it names."""


def test_the_deployer_may_do_what_it_does_and_holds_what_it_grants_and_nothing_else() -> None:
    (role,) = [each for each in documents() if each["kind"] == "ClusterRole"]
    granted: set[Right] = set()
    for scope in ("Same", "All"):
        given = wish(MESH | {"allowedRoutes": {"namespaces": {"from": scope}}})
        granted |= {right for each in rights_of(given, [NAMING]) for right in rights(each.get("rules", ()))}
    assert set(rights(role["rules"])) == set(used()) | granted


def test_what_starts_pods_stands_last_and_everything_is_in_its_namespace() -> None:
    kinds_of = [each["kind"] for each in documents()]
    assert kinds_of[0] == "Namespace" and set(kinds_of[-2:]) == {"Deployment", "StatefulSet"}
    whole = {"Namespace", "GatewayClass", "ClusterRole", "ClusterRoleBinding"}
    for each in documents():
        assert each["metadata"].get("namespace", "") == ("" if each["kind"] in whole else "waypointd-system")


def test_every_image_and_file_that_is_mounted_is_read_only_and_nobody_is_root() -> None:
    for each in documents():
        if each["kind"] in ("Deployment", "StatefulSet"):
            pod = each["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            (container,) = pod["containers"]
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]


def test_install_yaml_is_what_the_chart_makes() -> None:
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    script = runpy.run_path(str(ROOT / "scripts" / "install_yaml.py"))
    assert INSTALL.read_text() == script["install_yaml"]({}), "make chart"


def test_the_chart_is_well_formed_and_values_are_checked() -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    assert not helm.lint(str(CHART))["errors"]
    rendered = runpy.run_path(str(ROOT / "scripts" / "install_yaml.py"))["rendered"]
    interval = {"podMonitor": {"interval": "soon"}}
    wrong: dict[str, Any]
    for wrong in ({"redys": {}}, {"redis": {"url": "http://x"}}, {"deployer": {"replicas": 0}}, {"metrics": interval}):
        with pytest.raises(helm.HelmError):
            rendered(wrong)


def test_a_redis_of_ones_own() -> None:
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    rendered = runpy.run_path(str(ROOT / "scripts" / "install_yaml.py"))["rendered"]
    url = "rediss+sentinel://s1,s2/fleet"
    found = [yaml.safe_load(each) for each in rendered({"redis": {"url": url, "secret": "mine"}}, "elsewhere")]
    assert "StatefulSet" not in [each["kind"] for each in found]
    (deployer,) = [each for each in found if each["kind"] == "Deployment"]
    arguments = deployer["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--redis={url}" in arguments and "--redis-secret=mine" in arguments
    assert "--make-redis-secret" not in arguments
    assert deployer["metadata"]["namespace"] == "elsewhere"


@pytest.mark.parametrize("name", ["istio-waypoint", "python-waypoint"])
def test_an_overlay_for_istiod(name: str) -> None:
    """Its own class it makes itself; another has to be there. The deployer gives rights to those of the same class."""
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    rendered = runpy.run_path(str(ROOT / "scripts" / "install_yaml.py"))["rendered"]
    keys = [*REDIS_FILES, *REDIS_NAMES]
    redis = {"url": "rediss://mine", "secret": "mine", "secretKeys": keys}
    values = {"istio": {"overlay": {"class": name}}, "redis": redis, "waypoint": {"arguments": ["--log-level=debug"]}}
    found = [yaml.safe_load(each) for each in rendered(values)]
    (parameters,) = [each for each in found if each["kind"] == "ConfigMap"]
    assert parameters["metadata"]["labels"]["gateway.istio.io/defaults-for-class"] == name
    assert parameters["metadata"]["namespace"] == "istio-system"
    controllers = {
        each["metadata"]["name"]: each["spec"]["controllerName"] for each in found if each["kind"] == "GatewayClass"
    }
    assert controllers.get(name) == (None if name == "istio-waypoint" else CONTROLLER)
    pod = yaml.safe_load(parameters["data"]["deployment"])["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["--source=kubernetes", "--log-level=debug"]
    given = {each["name"]: each for each in container["env"]}
    assert given["WAYPOINT_REDIS"]["value"] == "rediss://mine"
    assert {given[setting]["value"] for setting in REDIS_FILES.values()} == {
        f"/etc/waypointd/redis/{key}" for key in REDIS_FILES
    }
    references = [given[setting]["valueFrom"]["secretKeyRef"] for setting in REDIS_NAMES.values()]
    assert references == [{"name": SECRET, "key": key} for key in REDIS_NAMES]
    assert [each["secret"]["secretName"] for each in pod["volumes"]] == [SECRET]
    (deployer,) = [each for each in found if each["kind"] == "Deployment"]
    assert f"--istiods-class={name}" in deployer["spec"]["template"]["spec"]["containers"][0]["args"]


def test_a_prometheus_operator_is_told_of_all_waypoints_and_alerts_if_asked() -> None:
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    rendered = runpy.run_path(str(ROOT / "scripts" / "install_yaml.py"))["rendered"]
    labels = {"release": "prometheus"}
    metrics = {
        "podMonitor": {"enabled": True, "labels": labels, "interval": "15s"},
        "prometheusRule": {"enabled": True, "labels": labels},
    }
    values = {"metrics": metrics, "istio": {"overlay": {"class": "istio-waypoint"}}}
    found = [yaml.safe_load(each) for each in rendered(values)]
    ours, istiods, rule = [each for each in found if each["apiVersion"] == "monitoring.coreos.com/v1"]
    assert [each["kind"] for each in (ours, istiods, rule)] == ["PodMonitor", "PodMonitor", "PrometheusRule"]
    assert all(labels.items() <= each["metadata"]["labels"].items() for each in (ours, istiods, rule))
    assert rule["spec"] == yaml.safe_load((CHART / "monitoring" / "alerts.yaml").read_text())
    pod = next(each for each in children_of(wish(), SITE, ()) if each["kind"] == "Deployment")
    template = pod["spec"]["template"]
    assert ours["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = ours["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "http-metrics", "path": "/stats/prometheus", "interval": "15s"}
    ports = {each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]}
    assert ports[endpoint["port"]] == METRICS_PORT
    assert istiods["spec"]["selector"] == {
        "matchLabels": {"gateway.networking.k8s.io/gateway-class-name": "istio-waypoint"}
    }
    assert "PodMonitor" not in {each["kind"] for each in documents()}
