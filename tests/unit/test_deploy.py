"""deploy/ fits together: what the manifests promise each other, and what waypointd makes of its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.controller.configuration import Configuration
from proxy.identity.istiod.token import AUDIENCE
from proxy.kubernetes.source.plan import Known, wanted
from proxy.settings import inside, kinds
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


def test_the_manifests_for_waypointd_load_without_a_word() -> None:
    configuration = Configuration([str(DEPLOY / "compose")], None)
    configuration.refresh(True)
    assert (configuration.faults, configuration.warnings) == ((), ())
    assert configuration.snapshot
    (only,) = configuration.snapshot.listeners
    assert (only.name, only.port, only.protocol) == ("http", 8000, "HTTP")
    assert len(configuration.snapshot.clusters["httpbin/in-ambient:8000"].endpoints) == 3


def test_the_gateway_is_an_unmanaged_waypoint() -> None:
    gateway, service = the("gateway.yaml", "Gateway"), the("service.yaml", "Service")
    assert gateway["spec"]["gatewayClassName"] == "istio-waypoint"
    assert gateway["spec"]["addresses"] == [{"type": "Hostname", "value": service["metadata"]["name"]}]
    assert [(each["port"], each["protocol"]) for each in gateway["spec"]["listeners"]] == [(HBONE_PORT, "HBONE")]


def test_the_service_leads_to_the_pods(pod: dict[str, Any]) -> None:
    service = the("service.yaml", "Service")
    ports = {port["name"]: port["containerPort"] for port in container(pod, "waypointd")["ports"]}
    led = {port["port"]: ports[port["targetPort"]] for port in service["spec"]["ports"]}
    assert led == {15008: 15008, 15021: 15021, 15020: 15020}
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["metadata"]["labels"]["istio.io/use-waypoint"] == "none"


def test_no_ztunnel_takes_the_waypoints_traffic_and_istiod_knows_its_pods(pod: dict[str, Any]) -> None:
    labels = pod["metadata"]["labels"]
    assert labels["istio.io/dataplane-mode"] == "none"
    assert labels["gateway.networking.k8s.io/gateway-name"] == the("gateway.yaml", "Gateway")["metadata"]["name"]


def test_it_is_one_container_that_finds_out_by_itself(pod: dict[str, Any], tmp_path: Path) -> None:
    """Token and root are mounted where they are looked for, so that istiod is the CA; the API is the source."""
    (only,) = pod["spec"]["containers"]
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    places = {name: mount["mountPath"] for name, mount in mounts(only).items()}
    assert f"{places['istio-token']}/istio-token" == inside.CA_TOKEN
    assert f"{places['istiod-ca']}/root-cert.pem" == inside.CA_ROOT
    assert volumes["istiod-ca"]["configMap"]["name"] == "istio-ca-root-cert"
    (token,) = volumes["istio-token"]["projected"]["sources"]
    assert (token["serviceAccountToken"]["path"], token["serviceAccountToken"]["audience"]) == ("istio-token", AUDIENCE)
    assert pod["spec"]["automountServiceAccountToken"]
    assert not any(each.startswith(("--tls-dir", "--manifests", "--source", "--ca=")) for each in only["args"])
    assert kinds.istiod(f"istiod://{environment(only)['CA_ADDR']}") == f"istiod://{inside.USUAL_CA}"


def test_the_identity_is_the_service_account_of_the_pod(pod: dict[str, Any]) -> None:
    assert pod["spec"]["serviceAccountName"] == the("service-account.yaml", "ServiceAccount")["metadata"]["name"]


MAY_TELL = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}


def allowed(role: dict[str, Any]) -> set[tuple[str, str]]:
    """Groups and resources that may be read. Beside that it may tell Events where there is what it tells of."""
    reading = [rule for rule in role["rules"] if rule != MAY_TELL]
    assert len(role["rules"]) - len(reading) == (role["kind"] == "Role")
    for rule in reading:
        assert set(rule["verbs"]) == {"get", "list", "watch"}
    return {(group, each) for rule in reading for group in rule["apiGroups"] for each in rule["resources"]}


def named(role: dict[str, Any]) -> set[str]:
    return {name for rule in role["rules"] for name in rule.get("resourceNames", ())}


def test_it_may_read_what_its_source_watches_and_nothing_else() -> None:
    gateway = the("gateway.yaml", "Gateway")
    namespace, name = GATEWAY.split("/")
    watched = wanted(Known(namespace, name, class_name=gateway["spec"]["gatewayClassName"]))
    needed: dict[str, set[tuple[str, str]]] = {}
    for each in watched:
        needed.setdefault(each.namespace, set()).add((each.resource.group, each.resource.plural))
    roles = {each["metadata"].get("namespace", namespace): each for each in rbac("Role")}
    (cluster,) = rbac("ClusterRole")
    assert {where: allowed(role) for where, role in {**roles, "": cluster}.items()} == needed
    assert named(cluster) == {namespace, gateway["spec"]["gatewayClassName"]}
    assert named(roles[namespace]) == {name}


def rbac(kind: str) -> list[dict[str, Any]]:
    return [each for each in objects(KUBERNETES / "rbac.yaml") if each["kind"] == kind]


def test_its_rights_are_bound_to_its_account() -> None:
    account = the("service-account.yaml", "ServiceAccount")["metadata"]["name"]
    bindings = [*rbac("RoleBinding"), *rbac("ClusterRoleBinding")]
    assert len(bindings) == 3
    for each in bindings:
        assert each["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "httpbin"}]
        assert each["roleRef"]["kind"] == each["kind"].removesuffix("Binding")
    role, binding = ({each["metadata"].get("namespace") for each in rbac(kind)} for kind in ("Role", "RoleBinding"))
    assert role == binding == {None, "istio-system"}


def test_every_mount_has_its_volume_and_no_container_may_write_its_root(pod: dict[str, Any]) -> None:
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert {name for each in pod["spec"]["containers"] for name in mounts(each)} == volumes
    for each in pod["spec"]["containers"]:
        assert each["securityContext"]["readOnlyRootFilesystem"]
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_settings_that_are_given_exist(pod: dict[str, Any]) -> None:
    waypointd = container(pod, "waypointd")
    assert {each.partition("=")[0] for each in waypointd["args"]} <= {flag_name(key) for key in SETTINGS}
    told = {"CA_ADDR", "ISTIO_META_CLUSTER_ID", "POD_NAMESPACE", "POD_NAME"}
    assert set(environment(waypointd)) - told <= {f"WAYPOINT_{key.upper()}" for key in SETTINGS}


def test_kustomize_is_given_every_file() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    given = {"kustomization.yaml", *kustomization["resources"], *kustomization["transformers"]}
    assert given == {str(path.relative_to(KUBERNETES)) for path in KUBERNETES.rglob("*.yaml")}
