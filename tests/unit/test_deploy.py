"""deploy/ fits together: what the manifests promise each other, and what waypointd makes of its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.controller.configuration import Configuration
from proxy.identity.certificates import FILES
from proxy.settings.settings import SETTINGS, flag_name

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
GATEWAY = "httpbin/httpbin-waypoint"
HBONE_PORT = 15008


def objects(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def the(name: str, kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects(KUBERNETES / name) if each["kind"] == kind]
    return dict(found)


@pytest.fixture
def pod() -> dict[str, Any]:
    template: dict[str, Any] = the("deployment.yaml", "Deployment")["spec"]["template"]
    return template


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in pod["spec"]["containers"] if each["name"] == name]
    return dict(found)


def mounts(of: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in of["volumeMounts"]}


def environment(of: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in of["env"]}


@pytest.mark.parametrize(
    ("directory", "gateway", "listener", "captured"),
    [
        ("compose", None, ("http", 8000, "HTTP"), False),
        ("kubernetes/manifests", GATEWAY, ("mesh", 15008, "HBONE"), True),
    ],
)
def test_the_manifests_for_waypointd_load_without_a_word(
    directory: str, gateway: str | None, listener: tuple[str, int, str], captured: bool
) -> None:
    configuration = Configuration([str(DEPLOY / directory)], gateway)
    configuration.refresh(True)
    assert (configuration.faults, configuration.warnings) == ((), ())
    assert configuration.snapshot
    (only,) = configuration.snapshot.listeners
    assert (only.name, only.port, only.protocol) == listener
    endpoints = configuration.snapshot.clusters["httpbin/in-ambient:8000"].endpoints
    assert [endpoint.hbone for endpoint in endpoints] == [captured] * 3


def test_the_gateway_is_an_unmanaged_waypoint() -> None:
    gateway, service = the("gateway.yaml", "Gateway"), the("service.yaml", "Service")
    assert gateway["spec"]["gatewayClassName"] == "istio-waypoint"
    assert gateway["spec"]["addresses"] == [{"type": "Hostname", "value": service["metadata"]["name"]}]
    (own,) = [each for each in objects(KUBERNETES / "manifests/mesh.yaml") if each["kind"] == "Gateway"]
    assert own["spec"]["listeners"] == gateway["spec"]["listeners"]
    assert [(each["port"], each["protocol"]) for each in own["spec"]["listeners"]] == [(HBONE_PORT, "HBONE")]


def test_the_service_leads_to_the_pods(pod: dict[str, Any]) -> None:
    service = the("service.yaml", "Service")
    ports = {port["name"]: port["containerPort"] for port in container(pod, "waypointd")["ports"]}
    led = {port["port"]: ports[port["targetPort"]] for port in service["spec"]["ports"]}
    assert led == {15008: 15008, 15021: 15021}
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["metadata"]["labels"]["istio.io/use-waypoint"] == "none"


def test_no_ztunnel_takes_the_waypoints_traffic_and_istiod_knows_its_pods(pod: dict[str, Any]) -> None:
    labels = pod["metadata"]["labels"]
    assert labels["istio.io/dataplane-mode"] == "none"
    assert labels["gateway.networking.k8s.io/gateway-name"] == the("gateway.yaml", "Gateway")["metadata"]["name"]


def test_certificates_reach_waypointd_in_memory_as_the_same_user(pod: dict[str, Any]) -> None:
    waypointd, agent = container(pod, "waypointd"), container(pod, "certificates")
    assert f"--tls-dir={mounts(waypointd)['tls']['mountPath']}" in waypointd["args"]
    assert mounts(waypointd)["tls"]["readOnly"]
    assert environment(agent)["OUTPUT_CERTS"] == mounts(agent)["tls"]["mountPath"]
    assert environment(agent)["DISABLE_ENVOY"] == "true"
    assert all(name in (KUBERNETES / "deployment.yaml").read_text() for name in FILES)
    (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "tls"]
    assert volume["emptyDir"]["medium"] == "Memory"
    assert (pod["spec"]["securityContext"]["runAsUser"], pod["spec"]["securityContext"]["fsGroup"]) == (1337, 1337)
    assert not any("runAsUser" in each["securityContext"] for each in (waypointd, agent))


def test_the_identity_is_the_service_account_of_the_pod(pod: dict[str, Any]) -> None:
    assert pod["spec"]["serviceAccountName"] == the("service-account.yaml", "ServiceAccount")["metadata"]["name"]
    (token,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "istio-token"]
    assert token["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "istio-ca"
    assert mounts(container(pod, "certificates"))["istio-token"]["mountPath"] == "/var/run/secrets/tokens"


def test_every_mount_has_its_volume_and_no_container_may_write_its_root(pod: dict[str, Any]) -> None:
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert {name for each in pod["spec"]["containers"] for name in mounts(each)} == volumes
    for each in pod["spec"]["containers"]:
        assert each["securityContext"]["readOnlyRootFilesystem"]
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_settings_that_are_given_exist(pod: dict[str, Any]) -> None:
    waypointd = container(pod, "waypointd")
    assert {each.partition("=")[0] for each in waypointd["args"]} <= {flag_name(key) for key in SETTINGS}
    assert set(environment(waypointd)) <= {f"WAYPOINT_{key.upper()}" for key in SETTINGS}


def test_kustomize_is_given_every_file() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    given = {"kustomization.yaml", *kustomization["resources"], *kustomization["configMapGenerator"][0]["files"]}
    assert given == {str(path.relative_to(KUBERNETES)) for path in KUBERNETES.rglob("*.yaml")}
