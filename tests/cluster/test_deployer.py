"""A Gateway of our class deploys a waypoint, on a real API server: what is made, what is said, what is taken away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer import beside_istiod, kinds
from proxy.kubernetes.deployer.wish import CONTROLLER, MANAGED_BY, MANAGER
from proxy.kubernetes.deployer.work import FINALIZER
from tests.cluster.api_rig import Api
from tests.cluster.deployer_rig import PATIENCE_S, SYSTEM, Object, Yard, said
from tests.rig import steady, wait_until

pytestmark = pytest.mark.api


@pytest.fixture
def yard(api: Api) -> Iterator[Yard]:
    with Yard.made(api) as made:
        yield made


def test_a_gateway_deploys_a_waypoint_says_so_and_takes_it_away(yard: Yard, tmp_path: Path) -> None:
    with yard.deployer(tmp_path) as deployer:
        yard.put_gateway()
        deployment = yard.there(kinds.DEPLOYMENTS)
        assert deployment["spec"]["replicas"] == 2
        for resource in (kinds.ACCOUNTS, kinds.SERVICES, kinds.BUDGETS, kinds.ROLES, kinds.ROLE_BINDINGS):
            made = yard.there(resource)
            assert made["metadata"]["ownerReferences"][0]["name"] == "way"
        full = f"waypointd:{yard.namespace}:way"
        yard.there(kinds.CLUSTER_ROLE_BINDINGS, full)
        yard.there(kinds.ROLE_BINDINGS, full, "istio-system")
        yard.until("Accepted", "True", "Accepted")
        assert "no Pod" in yard.until("Programmed", "False", "Pending")
        yard.pods_ready(2)
        wait_until(lambda: yard.condition("Programmed") == ("True", "Programmed", "2 Pods ready"), PATIENCE_S)
        gateway = yard.there(kinds.GATEWAYS)
        service = yard.there(kinds.SERVICES)
        assert gateway["status"]["addresses"] == [
            {"type": "IPAddress", "value": service["spec"]["clusterIP"]},
            {"type": "Hostname", "value": f"way.{yard.namespace}.svc.cluster.local"},
        ]
        assert [each["name"] for each in gateway["status"]["listeners"]] == ["mesh"]
        assert FINALIZER in yard.there(kinds.GATEWAY_CLASSES, yard.class_name)["metadata"]["finalizers"]
        assert said(yard.there(kinds.GATEWAY_CLASSES, yard.class_name), "Accepted")[0] == "True"

        yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
        for resource in (kinds.DEPLOYMENTS, kinds.SERVICES, kinds.ACCOUNTS, kinds.ROLES):
            yard.api.until_gone(resource, "way", yard.namespace, PATIENCE_S)
        for resource in (kinds.CLUSTER_ROLES, kinds.CLUSTER_ROLE_BINDINGS):
            yard.api.until_gone(resource, full, "", PATIENCE_S)
        for resource in (kinds.ROLES, kinds.ROLE_BINDINGS):
            yard.api.until_gone(resource, full, "istio-system", PATIENCE_S)
        wait_until(
            lambda: not yard.there(kinds.GATEWAY_CLASSES, yard.class_name)["metadata"].get("finalizers"), PATIENCE_S
        )
        assert deployer.end() == 0
        assert " error " not in deployer.log()


def versions(yard: Yard) -> dict[str, str]:
    """Of the first Gateway and its Service: they change when something is written."""
    return {each.kind: yard.there(each)["metadata"]["resourceVersion"] for each in (kinds.SERVICES, kinds.GATEWAYS)}


def test_what_somebody_changes_of_it_is_put_right_and_costs_no_loop(yard: Yard, tmp_path: Path) -> None:
    with yard.deployer(tmp_path):
        yard.put_gateway()
        yard.there(kinds.DEPLOYMENTS)
        yard.until("Programmed", "False", "Pending")
        yard.api.delete(kinds.SERVICES, "way", yard.namespace)
        yard.there(kinds.SERVICES)
        yard.api.patch(kinds.DEPLOYMENTS, "way", yard.namespace, {"spec": {"replicas": 7}})
        wait_until(lambda: yard.there(kinds.DEPLOYMENTS)["spec"]["replicas"] == 2, PATIENCE_S)
        # Nothing is written while nothing changes: the next look (another Gateway's) finds it as it was.
        yard.put_gateway("other")
        yard.until("Programmed", "False", "Pending", "other")
        # Its status may yet tell of the new Service and of what the cluster makes of the Deployment.
        before = steady(lambda: versions(yard), 2.0, PATIENCE_S)
        yard.put_gateway("third")
        yard.until("Programmed", "False", "Pending", "third")
        assert before == versions(yard)


def test_a_waypoint_of_istiods_gets_rights_and_what_redis_takes_and_no_more(yard: Yard, tmp_path: Path) -> None:
    """As long as istiod deploys it: two of them in a namespace share the Secret, which goes with the last."""
    name = f"{yard.namespace}-waypoint"
    yard.api.put(kinds.GATEWAY_CLASSES, name, spec={"controllerName": beside_istiod.CONTROLLER})
    redis = ("--redis", "redis://redis:6379", "--redis-secret", "made-here", "--make-redis-secret")
    full = f"waypointd:{yard.namespace}:way"
    try:
        with yard.deployer(tmp_path, "--istiods-class", name, *redis):
            for each in ("way", "other"):
                yard.put_gateway(each, gatewayClassName=name)
            for each in ("way", "other"):
                yard.there(kinds.ROLE_BINDINGS, each)
            yard.there(kinds.CLUSTER_ROLE_BINDINGS, full)
            yard.there(kinds.ROLE_BINDINGS, full, "istio-system")
            wait_until(lambda: len(owners(yard)) == 2, PATIENCE_S, "both own the Secret")
            assert kinds_made(yard) == {kinds.ROLES, kinds.ROLE_BINDINGS}
            yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
            yard.api.until_gone(kinds.ROLE_BINDINGS, "way", yard.namespace, PATIENCE_S)
            yard.api.until_gone(kinds.CLUSTER_ROLE_BINDINGS, full, "", PATIENCE_S)
            assert yard.get(kinds.SECRETS, beside_istiod.SECRET)
            # One that is deployed by hand is nobody's.
            yard.put_gateway("other", gatewayClassName=name, addresses=[{"type": "Hostname", "value": "other"}])
            yard.api.until_gone(kinds.ROLE_BINDINGS, "other", yard.namespace, PATIENCE_S)
            yard.api.delete(kinds.GATEWAYS, "other", yard.namespace)
            yard.api.until_gone(kinds.SECRETS, beside_istiod.SECRET, yard.namespace, PATIENCE_S)
    finally:
        yard.api.delete(kinds.GATEWAY_CLASSES, name)


def test_a_waypoint_may_get_the_secrets_that_rules_name_while_they_do(yard: Yard, tmp_path: Path) -> None:
    def named() -> list[str]:
        """The Secrets that the Role names."""
        rules = (yard.get(kinds.ROLES) or {"rules": []})["rules"]
        return [name for each in rules if "secrets" in each["resources"] for name in each["resourceNames"]]

    with yard.deployer(tmp_path):
        yard.put_gateway()
        yard.there(kinds.ROLES)
        assert named() == []
        policy = {"tls": {"mode": "MUTUAL", "credentialName": "ours"}}
        yard.api.put(kinds.RULES, "rule", yard.namespace, spec={"host": "a", "trafficPolicy": policy})
        wait_until(lambda: named() == ["ours", "ours-cacert"], PATIENCE_S, "the right is there")
        yard.api.delete(kinds.RULES, "rule", yard.namespace)
        wait_until(lambda: named() == [], PATIENCE_S, "and is gone with the rule")


def kinds_made(yard: Yard) -> set[Resource]:
    """Of what is watched and in the namespace."""
    ours = {"labelSelector": f"{MANAGED_BY}={MANAGER}"}
    namespaced = [each for each in kinds.FOLLOWED if each.namespaced]
    return {each for each in namespaced if yard.api.client.get(each.path(yard.namespace), ours)["items"]}


def owners(yard: Yard) -> list[str]:
    """The Gateways that own the Secret which istiod's waypoints of the namespace share."""
    found = yard.get(kinds.SECRETS, beside_istiod.SECRET)
    return [each["name"] for each in found["metadata"]["ownerReferences"]] if found else []


def test_parameters_of_the_class_are_for_all_its_gateways(yard: Yard, tmp_path: Path) -> None:
    """The Gateway's own are laid over them."""
    reference = {"group": "", "kind": "ConfigMap", "name": "of-class", "namespace": SYSTEM}
    with yard.deployer(tmp_path):
        yard.put_gateway()
        yard.there(kinds.DEPLOYMENTS)
        yard.api.put(
            kinds.GATEWAY_CLASSES, yard.class_name, spec={"controllerName": CONTROLLER, "parametersRef": reference}
        )
        assert "there is no ConfigMap" in yard.until("Accepted", "False", "InvalidParameters")

        def accepted() -> tuple[str, str, str]:
            return said(yard.there(kinds.GATEWAY_CLASSES, yard.class_name), "Accepted")

        wait_until(lambda: accepted()[:2] == ("False", "InvalidParameters"), PATIENCE_S, "so is the class")
        both = {"deployment": "spec: {replicas: 3, minReadySeconds: 7}"}
        yard.api.put(kinds.CONFIG_MAPS, "of-class", SYSTEM, data=both)
        wait_until(lambda: spec_of(yard)["replicas"] == 3, PATIENCE_S, "it is in force")
        wait_until(lambda: accepted()[0] == "True", PATIENCE_S, "the class is well again")
        own = {"deployment": "spec: {replicas: 4}"}
        yard.api.put(kinds.CONFIG_MAPS, "own", yard.namespace, data=own)
        yard.put_gateway(infrastructure={"parametersRef": {"group": "", "kind": "ConfigMap", "name": "own"}})
        wait_until(lambda: spec_of(yard)["replicas"] == 4, PATIENCE_S, "its own wins")
        assert spec_of(yard)["minReadySeconds"] == 7
        yard.api.delete(kinds.CONFIG_MAPS, "of-class", SYSTEM)


def spec_of(yard: Yard) -> Object:
    """Of the waypoint's Deployment."""
    found: Object = yard.there(kinds.DEPLOYMENTS)["spec"]
    return found


def test_parameters_and_infrastructure(yard: Yard, tmp_path: Path) -> None:
    parameters = {"group": "", "kind": "ConfigMap", "name": "parameters"}
    infrastructure = {"labels": {"team": "red"}, "annotations": {"cost": "low"}, "parametersRef": parameters}
    with yard.deployer(tmp_path):
        yard.put_gateway(infrastructure=infrastructure)
        assert "there is no ConfigMap" in yard.until("Accepted", "False", "InvalidParameters")
        data = {"deployment": "spec: {replicas: 3}"}
        yard.api.put(kinds.CONFIG_MAPS, "parameters", yard.namespace, data=data)
        yard.until("Accepted", "True", "Accepted")
        for resource in (kinds.DEPLOYMENTS, kinds.SERVICES, kinds.ACCOUNTS):
            metadata = yard.there(resource)["metadata"]
            assert metadata["labels"]["team"] == "red" and metadata["annotations"]["cost"] == "low"
        assert yard.there(kinds.DEPLOYMENTS)["spec"]["replicas"] == 3
        assert yard.there(kinds.DEPLOYMENTS)["spec"]["template"]["metadata"]["labels"]["team"] == "red"
        yard.api.put(
            kinds.CONFIG_MAPS,
            "parameters",
            yard.namespace,
            data={"horizontalPodAutoscaler": "spec: {minReplicas: 2, maxReplicas: 4}"},
        )
        assert yard.there(kinds.AUTOSCALERS)["spec"]["maxReplicas"] == 4
        yard.api.put(kinds.CONFIG_MAPS, "parameters", yard.namespace, data={"deployment": "metadata: {name: x}"})
        assert "metadata.name is not for parameters" in yard.until("Accepted", "False", "InvalidParameters")
        yard.put_gateway()
        yard.until("Accepted", "True", "Accepted")
        yard.api.until_gone(kinds.AUTOSCALERS, "way", yard.namespace, PATIENCE_S)


def test_an_object_of_that_name_that_is_not_ours_is_not_touched(yard: Yard, tmp_path: Path) -> None:
    yard.api.put(kinds.SERVICES, "way", yard.namespace, spec={"ports": [{"port": 80}]})
    with yard.deployer(tmp_path):
        yard.put_gateway()
        said = yard.until("Programmed", "False", "Invalid")
        assert said.startswith(f"Service {yard.namespace}/way was there before and is not ours")
        assert [each["port"] for each in yard.there(kinds.SERVICES)["spec"]["ports"]] == [80]
        yard.api.delete(kinds.SERVICES, "way", yard.namespace)
        yard.until("Programmed", "False", "Pending")


def test_a_gateway_of_another_class_is_left_alone(yard: Yard, tmp_path: Path) -> None:
    other = f"{yard.class_name}-other"
    yard.api.put(kinds.GATEWAY_CLASSES, other, spec={"controllerName": "example.com/controller"})
    try:
        with yard.deployer(tmp_path):
            yard.put_gateway("theirs", gatewayClassName=other)
            yard.put_gateway()
            yard.until("Accepted", "True", "Accepted")
            assert yard.get(kinds.DEPLOYMENTS, "theirs") is None
            assert yard.condition("Accepted", "theirs") == ("", "", "")
            # One that changes its class is given up.
            yard.put_gateway(gatewayClassName=other)
            yard.api.until_gone(kinds.DEPLOYMENTS, "way", yard.namespace, PATIENCE_S)
            yard.api.until_gone(kinds.CLUSTER_ROLES, f"waypointd:{yard.namespace}:way", "", PATIENCE_S)
    finally:
        yard.api.delete(kinds.GATEWAY_CLASSES, other)


def test_a_class_that_is_gone_ends_nothing(yard: Yard, tmp_path: Path) -> None:
    """Somebody has forced it past its finalizer. What serves goes on; what is put back is seen to again."""
    with yard.deployer(tmp_path):
        yard.put_gateway()
        before = yard.there(kinds.DEPLOYMENTS)
        wait_until(lambda: FINALIZER in str(yard.there(kinds.GATEWAY_CLASSES, yard.class_name)), PATIENCE_S)
        yard.api.delete(kinds.GATEWAY_CLASSES, yard.class_name)
        yard.api.patch(kinds.GATEWAY_CLASSES, yard.class_name, "", {"metadata": {"finalizers": None}})
        yard.api.until_gone(kinds.GATEWAY_CLASSES, yard.class_name, "", PATIENCE_S)
        # Whatever is done about it has been done when the next Gateway, of another class, has its waypoint.
        other = f"{yard.class_name}-b"
        yard.api.put(kinds.GATEWAY_CLASSES, other, spec={"controllerName": CONTROLLER})
        yard.put_gateway("next", gatewayClassName=other)
        yard.until("Programmed", "False", "Pending", "next")
        assert yard.there(kinds.DEPLOYMENTS)["metadata"]["uid"] == before["metadata"]["uid"]
        yard.api.put(kinds.GATEWAY_CLASSES, yard.class_name, spec={"controllerName": CONTROLLER})
        yard.api.delete(kinds.DEPLOYMENTS, "way", yard.namespace)
        yard.there(kinds.DEPLOYMENTS)
        yard.api.delete(kinds.GATEWAYS, "next", yard.namespace)
        wait_until(lambda: FINALIZER not in str(yard.there(kinds.GATEWAY_CLASSES, other)), PATIENCE_S)
        yard.api.delete(kinds.GATEWAY_CLASSES, other)


def test_the_api_server_killed_under_it(yard: Yard, tmp_path: Path) -> None:
    """It leads again, or another does, and knows what was asked for meanwhile."""
    cluster = yard.api.cluster
    with yard.deployer(tmp_path) as deployer:
        wait_until(deployer.leads, PATIENCE_S, "it leads")
        yard.put_gateway()
        yard.there(kinds.DEPLOYMENTS)
        cluster.stop("kube-apiserver", signal.SIGKILL)
        wait_until(lambda: deployer.page() == (200, "follows"), PATIENCE_S, "the lead has ended by itself")
        cluster.start("kube-apiserver")
        yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
        yard.put_gateway("next")
        yard.there(kinds.DEPLOYMENTS, "next")
        yard.api.until_gone(kinds.CLUSTER_ROLES, f"waypointd:{yard.namespace}:way", "", PATIENCE_S)
        assert deployer.page("/healthz/live")[0] == 200


def test_the_follower_goes_on_where_a_leader_was_killed(yard: Yard, tmp_path: Path) -> None:
    with yard.deployer(tmp_path) as first:
        wait_until(first.leads, PATIENCE_S, "the first leads")
        yard.put_gateway()
        yard.there(kinds.DEPLOYMENTS)
        with yard.deployer(tmp_path) as second:
            wait_until(lambda: second.page() == (200, "follows"), PATIENCE_S, "the second follows")
            first.end(signal.SIGKILL)
            # What nobody has seen: it went while there was no leader.
            yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
            yard.put_gateway("next")
            assert yard.get(kinds.DEPLOYMENTS, "next") is None
            yard.there(kinds.DEPLOYMENTS, "next")
            yard.api.until_gone(kinds.CLUSTER_ROLES, f"waypointd:{yard.namespace}:way", "", PATIENCE_S)
            with yard.deployer(tmp_path) as third:
                wait_until(lambda: third.page() == (200, "follows"), PATIENCE_S, "the third follows")
                assert second.end() == 0  # which gives the Lease back: nobody waits for its time to be up
                wait_until(third.leads, 10, "the third leads")


def test_install_yaml_is_all_it_takes_with_exactly_its_rights(yard: Yard, tmp_path: Path) -> None:
    """As its ServiceAccount: it grants what it holds, makes the password of Redis once, and nothing is refused."""
    arguments = yard.install()
    config = yard.kubeconfig(tmp_path)
    with yard.deployer(tmp_path, *arguments, config=config) as deployer:
        yard.put_gateway(gatewayClassName="waypointd")
        wide = [{"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": {"from": "All"}}}]
        yard.put_gateway("wide", gatewayClassName="waypointd", listeners=wide)
        for name in ("way", "wide"):
            yard.pods_ready(2, name)
            yard.until("Programmed", "True", "Programmed", name)
        secret = yard.there(kinds.SECRETS, "waypointd-redis", SYSTEM)
        assert yard.there(kinds.SECRETS, "way-redis")["data"]["password"] == secret["data"]["password"]
        for name in ("way", "wide"):
            yard.api.delete(kinds.GATEWAYS, name, yard.namespace)
            yard.api.until_gone(kinds.CLUSTER_ROLES, f"waypointd:{yard.namespace}:{name}", "", PATIENCE_S)
        assert "403" not in deployer.log() and " warn " not in deployer.log() and " error " not in deployer.log()
    with yard.deployer(tmp_path, *arguments, config=config):  # again: the password stays
        yard.put_gateway(gatewayClassName="waypointd")
        assert yard.there(kinds.SECRETS, "way-redis")["data"]["password"] == secret["data"]["password"]


def test_a_right_that_is_missing_is_named(yard: Yard, tmp_path: Path) -> None:
    arguments = yard.install()
    role = yard.there(kinds.CLUSTER_ROLES, "waypointd-deployer")
    rules = [each for each in role["rules"] if "deployments" not in each["resources"]]
    yard.api.patch(kinds.CLUSTER_ROLES, "waypointd-deployer", "", {"rules": rules})
    with yard.deployer(tmp_path, *arguments, config=yard.kubeconfig(tmp_path)) as deployer:
        rule = '{apiGroups: ["apps"], resources: [deployments], verbs: [get, list, watch]} in a ClusterRole'
        wait_until(lambda: rule in deployer.page()[1], PATIENCE_S, "the rule is named")
        assert deployer.page()[0] == 503
        yard.api.patch(kinds.CLUSTER_ROLES, "waypointd-deployer", "", {"rules": role["rules"]})
        wait_until(deployer.leads, 2 * PATIENCE_S, "it goes on by itself")


def test_addresses_that_are_asked_for(yard: Yard, tmp_path: Path) -> None:
    with yard.deployer(tmp_path):
        yard.put_gateway(addresses=[{"type": "example.com/odd", "value": "x"}])
        yard.until("Accepted", "False", "UnsupportedAddress")
        yard.put_gateway(addresses=[{"value": "192.0.2.7"}])
        assert "clusterIP" in yard.until("Programmed", "False", "AddressNotUsable")
        yard.put_gateway(addresses=[{"value": "10.96.7.7"}])
        assert yard.there(kinds.SERVICES)["spec"]["clusterIP"] == "10.96.7.7"
        yard.pods_ready(1)
        yard.until("Programmed", "True", "Programmed")  # how many Pods are is the node's to say
        assert yard.there(kinds.GATEWAYS)["status"]["addresses"] == [{"type": "IPAddress", "value": "10.96.7.7"}]
