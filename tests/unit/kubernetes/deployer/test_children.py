"""What is made for a Gateway, and what its parameters change of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.kubernetes.deployer import overlay
from proxy.kubernetes.deployer.children import REDIS_FILES, REDIS_NAMES, children_of
from proxy.kubernetes.deployer.rights import rights_of
from proxy.kubernetes.deployer.wish import MANAGED_BY, Wish
from proxy.kubernetes.source import plan
from proxy.settings.settings import ENVIRONMENT_PREFIX, SETTINGS
from tests.unit.kubernetes.deployer.wishes import MESH, SITE, WEB, wish

Object = dict[str, Any]


def made(given: Wish, **data: str) -> dict[str, Object]:
    return {each["kind"]: each for each in children_of(given, SITE, [overlay.read(data)])}


def test_everything_is_owned_and_can_be_found_again() -> None:
    children = made(wish(infrastructure={"labels": {"team": "red"}, "annotations": {"cost": "low"}}))
    assert list(children) == ["ServiceAccount", "Secret", "Deployment", "Service", "PodDisruptionBudget"]
    for child in (*children.values(), children["Deployment"]["spec"]["template"]):
        metadata = child["metadata"]
        assert metadata["labels"][MANAGED_BY] == "waypointd-deployer" and metadata["labels"]["team"] == "red"
        assert metadata["annotations"]["cost"] == "low"
    assert children["Service"]["metadata"]["ownerReferences"][0]["uid"] == "u-1"


def test_labels_that_are_the_apis_own_are_not_the_users_to_set() -> None:
    mine = {"gateway.networking.k8s.io/gateway-name": "other"}
    labels = made(wish(infrastructure={"labels": mine}))["Service"]["metadata"]["labels"]
    assert labels["gateway.networking.k8s.io/gateway-name"] == "way"


def test_the_service_has_a_port_for_each_that_is_served() -> None:
    tcp = {"name": "tcp", "port": 9000, "protocol": "TCP"}
    ports = made(wish(MESH, WEB, tcp))["Service"]["spec"]["ports"]
    assert [each["port"] for each in ports] == [15008, 80, 15021, 15020]


def test_the_password_is_in_a_secret_and_only_there() -> None:
    children = made(wish())
    assert children["Secret"]["data"] == {"password": "c2VjcmV0"}
    assert "c2VjcmV0" not in str(children["Deployment"])
    bare = {each["kind"] for each in children_of(wish(), replace(SITE, redis_secret={}), [])}
    assert "Secret" not in bare


def test_a_redis_with_tls_an_acl_user_and_sentinels() -> None:
    site = replace(SITE, redis_secret=dict.fromkeys((*REDIS_FILES, *REDIS_NAMES), "eA=="))
    (deployment,) = [each for each in children_of(wish(), site, []) if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = {each["name"] for each in container["env"]}
    assert given >= {*REDIS_FILES.values(), *REDIS_NAMES.values()}
    assert given >= {f"{ENVIRONMENT_PREFIX}{key.upper()}" for key in SETTINGS if key.startswith("redis_")} - {
        f"{ENVIRONMENT_PREFIX}REDIS_PREFIX"
    }


def test_parameters_are_laid_over() -> None:
    deployment = """
    metadata: {labels: {app.kubernetes.io/managed-by: me, tier: gold}}
    spec:
      replicas: 3
      template:
        spec:
          containers:
          - {name: waypointd, resources: {limits: {cpu: '4'}}, startupProbe: null}
          - {name: other, image: other}
    """
    found = made(wish(), deployment=deployment)["Deployment"]
    own, other = found["spec"]["template"]["spec"]["containers"]
    assert found["spec"]["replicas"] == 3
    assert own["resources"]["limits"] == {"cpu": "4", "memory": "1Gi"} and own["image"] == "waypointd:1"
    assert "startupProbe" not in own and other["name"] == "other"
    assert found["metadata"]["labels"][MANAGED_BY] == "waypointd-deployer"
    assert found["metadata"]["labels"]["tier"] == "gold"


def test_what_the_class_says_is_laid_over_first() -> None:
    """What it takes away may be given again."""
    of_class = {"Deployment": {"spec": {"replicas": None, "paused": True, "minReadySeconds": 5}}}
    own = {"Deployment": {"spec": {"replicas": 4, "paused": None}}}
    (deployment,) = [each for each in children_of(wish(), SITE, [of_class, own]) if each["kind"] == "Deployment"]
    spec = deployment["spec"]
    assert (spec["replicas"], spec["minReadySeconds"], "paused" in spec) == (4, 5, False)


def test_an_autoscaler_only_where_it_is_asked_for_and_then_it_says_how_many() -> None:
    scaled = made(wish(), horizontalPodAutoscaler="spec: {maxReplicas: 9}")
    assert scaled["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "way"
    assert "replicas" not in scaled["Deployment"]["spec"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"deploymint": "{}"}, "deploymint: is none of"),
        ({"deployment": "spec: ["}, "deployment: is not YAML"),
        ({"deployment": "text"}, "deployment: must be a part of the object"),
        ({"service": "kind: Pod"}, "service: kind is not for parameters"),
        ({"service": "metadata: {name: x}"}, "service: metadata.name is not for parameters"),
        ({"service": "metadata: text"}, "service: metadata must be a mapping"),
    ],
)
def test_parameters_that_cannot_be_used(data: dict[str, str], said: str) -> None:
    with pytest.raises(overlay.BadParameters, match=said):
        overlay.read(data)


@pytest.mark.parametrize("scope", ["Same", "All"])
def test_the_rights_are_those_of_what_is_watched(scope: str) -> None:
    """Every watch of the source's plan is allowed by a rule; a listener for others has the wider ones. Routes lead to a
    namespace and to Istio's root."""
    given = wish(MESH | {"allowedRoutes": {"namespaces": {"from": scope}}})
    led_to = frozenset({"far", "istio-system"})
    rights = [each for each in rights_of(given, led_to=led_to) if "rules" in each]
    known = plan.Known("shop", "way", class_name="waypointd", invites=scope == "All", elsewhere=frozenset({"other"}))
    known = replace(known, led_to=led_to)
    for watched in plan.wanted(known):
        name = watched.fields.removeprefix("metadata.name=") if watched.fields else ""
        assert any(
            right["metadata"].get("namespace", watched.namespace) == watched.namespace
            and watched.resource.group in rule["apiGroups"]
            and watched.resource.plural in rule["resources"]
            and name in rule.get("resourceNames", [name])
            for right in rights
            for rule in right["rules"]
        ), watched


def test_every_role_is_bound_to_the_account_alone() -> None:
    rights = list(rights_of(wish()))
    bound = {(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in rights if "roleRef" in each}
    assert bound == {(each["kind"], each["metadata"]["name"]) for each in rights if "rules" in each}
    subject = {"kind": "ServiceAccount", "name": "way", "namespace": "shop"}
    assert all(each["subjects"] == [subject] for each in rights if "subjects" in each)
