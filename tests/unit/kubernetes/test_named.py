"""Secrets and ConfigMaps that rules name for TLS to endpoints: which are followed, how, and which right that takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from proxy.kubernetes.api import poller
from proxy.kubernetes.deployer.rights import rights_of
from proxy.kubernetes.source import kinds, named
from proxy.kubernetes.source.plan import Known, Learned, wanted
from proxy.kubernetes.source.source import KubernetesSource
from tests.unit.kubernetes.api_rig import ApiServer, Object
from tests.unit.kubernetes.deployer.wishes import MESH, wish
from tests.unit.kubernetes.test_source import GATEWAY, object_of, wait_for


def rule(name: str, *credentials: str, mode: str = "MUTUAL", namespace: str = "shop") -> Object:
    """With a policy, an entry for a port, and subsets, for each one of these in turn."""
    first, *others = [{"tls": {"mode": mode, "credentialName": each}} for each in credentials] or [{}]
    policy: dict[str, Any] = first | {"portLevelSettings": [each | {"port": {"number": 80}} for each in others[:1]]}
    spec = {"host": "a", "trafficPolicy": policy, "subsets": [{"name": "s", "trafficPolicy": each} for each in others]}
    return object_of("DestinationRule", name, namespace) | {"spec": spec}


@pytest.mark.parametrize(
    ("given", "secrets", "maps"),
    [
        (rule("a", "one"), {"one", "one-cacert"}, set()),
        (rule("a", "one", "two", "three"), {"one", "two", "three"}, set()),
        (rule("a", "configmap://shop/cas", mode="SIMPLE"), set(), {"cas"}),
        (rule("a", "one", mode="ISTIO_MUTUAL"), set(), set()),
        ({"spec": {"trafficPolicy": "what", "subsets": ["is", {"trafficPolicy": None}]}}, set(), set()),
        ({}, set(), set()),
    ],
)
def test_what_a_rule_names(given: Object, secrets: set[str], maps: set[str]) -> None:
    found = named.secrets(given)
    assert {each.removesuffix("-cacert") for each in found} == {each.removesuffix("-cacert") for each in secrets}
    assert named.config_maps(given) == maps


def test_only_what_rules_name_is_followed_each_by_its_name() -> None:
    learned = Learned(Known("shop", "way"))
    watch = next(each for each in wanted(learned.known) if each.resource == kinds.RULES and each.namespace == "shop")
    assert learned.put(watch, "shop", "a", rule("a", "one", "configmap://shop/cas"))
    assert not learned.put(watch, "shop", "b", rule("b", "one"))
    followed = {str(each) for each in wanted(learned.known) if each.name}
    assert followed == {"secrets one in shop", "secrets one-cacert in shop", "configmaps cas in shop"}
    assert learned.drop(watch, "shop", "a")
    assert {str(each) for each in wanted(learned.known) if each.name} == {
        "secrets one in shop",
        "secrets one-cacert in shop",
    }
    learned.forget(watch)
    assert not [each for each in wanted(learned.known) if each.name]


def test_certificates_of_listeners_are_followed_wherever_they_are() -> None:
    learned = Learned(Known("shop", "way"))
    watch = next(each for each in wanted(learned.known) if each.resource == kinds.GATEWAYS)
    references = [{"name": "mine"}, {"name": "far", "namespace": "certs"}, {"name": "x", "kind": "Vault"}, {"name": 3}]
    listeners = [{"protocol": "HTTPS", "tls": {"certificateRefs": references}}, {"protocol": "HTTP"}, "odd"]
    gateway = object_of("Gateway", "way") | {"spec": {"gatewayClassName": "c", "listeners": listeners}}
    assert learned.put(watch, "shop", "way", gateway)
    followed = {str(each): each.rule for each in wanted(learned.known) if each.name}
    assert followed == {
        f"secrets {name} in {namespace}": f'{{apiGroups: [""], resources: [secrets], resourceNames: [{name}], '
        f"verbs: [get]}} in a Role of namespace {namespace}"
        for name, namespace in (("mine", "shop"), ("far", "certs"))
    }
    assert learned.drop(watch, "shop", "way")
    assert not [each for each in wanted(learned.known) if each.name]


@pytest.fixture
def source(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesSource]:
    monkeypatch.setattr(poller.Poller.__init__, "__defaults__", (0.02,))
    api.by_namespace = True
    made = KubernetesSource(api.client, GATEWAY, lambda: None)
    yield made
    made.stop()


def test_a_secret_is_told_with_the_rule_and_followed(api: ApiServer, source: KubernetesSource) -> None:
    """It takes no right but to get it: nothing lists or watches Secrets."""
    api.put("destinationrules", rule("a", "one"))
    api.put("secrets", object_of("Secret", "one") | {"data": {"ca.crt": "MQ=="}})
    source.start()
    wait_for(lambda: source.synced, lambda: source.reason)
    told = {change.id.resource.partition(".")[0]: change.body for change in source.take()}
    assert told["destinationrules"] and told["secrets"] and told["secrets"]["data"] == {"ca.crt": "MQ=="}
    api.put("secrets", object_of("Secret", "one") | {"data": {"ca.crt": "Mg=="}})
    wait_for(lambda: any(change.body and change.body.get("data") == {"ca.crt": "Mg=="} for change in source.take()))
    api.delete("secrets", "one")
    wait_for(lambda: any(change.body is None and change.id.name == "one" for change in source.take()))
    assert not [each for each in api.requests if "/secrets" in each and ("watch=" in each or "limit=" in each)]


def test_without_the_right_everything_else_is_told(api: ApiServer, source: KubernetesSource) -> None:
    api.wrong = lambda handler: "/secrets/" in handler.path and handler.refuse(403, "no")
    api.put("destinationrules", rule("a", "one"))
    source.start()
    wait_for(lambda: source.synced, lambda: source.reason)
    assert "destinationrules" in {change.id.resource.partition(".")[0] for change in source.take()}
    assert any(
        '{apiGroups: [""], resources: [secrets], resourceNames: [one], verbs: [get]} in a Role of namespace shop'
        in each
        for each in source.troubles()
    )


def test_a_waypoint_may_get_what_rules_near_it_name_and_nothing_else() -> None:
    near, root = rule("a", "one", "configmap://shop/cas"), rule("b", "two", namespace="istio-system")
    rules = [near, root, rule("c", "three", namespace="elsewhere")]
    given = wish(MESH)
    roles = {
        each["metadata"].get("namespace"): each["rules"] for each in rights_of(given, rules) if each["kind"] == "Role"
    }
    secrets = [each for found in roles.values() for each in found if "secrets" in each["resources"]]
    assert secrets == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["one", "one-cacert", "two", "two-cacert"],
            "verbs": ["get"],
        }
    ]
    assert secrets[0] in roles[given.namespace]
    (maps,) = [each for found in roles.values() for each in found if "configmaps" in each["resources"]]
    assert maps["resourceNames"] == ["cas"]
    assert not any("secrets" in each["resources"] for body in rights_of(given) for each in body.get("rules", ()))
