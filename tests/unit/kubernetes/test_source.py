"""Which watches there are, and when what they tell is let through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from proxy.kubernetes.source import kinds
from proxy.kubernetes.source.plan import Known, Learned, wanted
from proxy.kubernetes.source.source import Change, KubernetesSource
from tests.unit.kubernetes.api_rig import ApiServer, Object

GATEWAY = Known("shop", "way")


def object_of(kind: str, name: str, namespace: str = "shop", labels: dict[str, str] | None = None) -> Object:
    place = {"namespace": namespace} if namespace else {}
    return {"kind": kind, "metadata": {"name": name, "labels": labels or {}, **place}}


def gateway(scope: str = "Same") -> Object:
    listener = {"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": {"from": scope}}}
    spec = {"gatewayClassName": "istio-waypoint", "listeners": [listener]}
    return object_of("Gateway", "way") | {"spec": spec}


BOUND = {"istio.io/use-waypoint": "way", "istio.io/use-waypoint-namespace": "shop"}


def wait_for(condition: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, what()
        time.sleep(0.005)


class Rig:
    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.news = 0
        self.seen: list[Change] = []
        self.source = KubernetesSource(api.client, GATEWAY, self._count)

    def _count(self) -> None:
        self.news += 1

    @property
    def names(self) -> set[str]:
        """What is there, as told so far."""
        self.seen += self.source.take()
        there: dict[tuple[str, ...], bool] = {}
        for change in self.seen:
            there[change.id] = change.body is not None
        return {f"{id[0].split('.')[0]} {id[1]}/{id[2]}" for id, is_there in there.items() if is_there}


@pytest.fixture
def rig(api: ApiServer) -> Iterator[Rig]:
    api.by_namespace = True
    rig = Rig(api)
    yield rig
    rig.source.stop()


def test_only_what_is_served_is_watched() -> None:
    """Of other namespaces nothing; of the root namespace what concerns all."""
    names = sorted(str(each) for each in wanted(GATEWAY) if not each.optional)
    own = [each for each in names if each.endswith(" in shop")]
    assert len(own) == 1 + len(kinds.OF_SERVED)
    assert sorted(set(names) - set(own)) == [
        "authorizationpolicies.security.istio.io in istio-system",
        "destinationrules.networking.istio.io in istio-system",
        "gateways.gateway.networking.k8s.io in shop with metadata.name=way",
        "namespaces with metadata.name=shop",
        "requestauthentications.security.istio.io in istio-system",
    ]


@pytest.mark.parametrize("label", ["use-waypoint", "use-waypoint-canary"])
def test_what_is_bound_elsewhere_is_found_by_its_labels(label: str) -> None:
    """Its Namespace is followed then, whatever that is labelled: it decides too."""
    selector = f"istio.io/{label}=way,istio.io/{label}-namespace=shop"
    learned = Learned(GATEWAY)
    watch = next(each for each in wanted(GATEWAY) if each.resource == kinds.GATEWAYS)
    assert learned.put(watch, "shop", "way", gateway("All"))
    by_label = {each.resource: each for each in wanted(learned.known) if each.labels == selector}
    assert set(by_label) == {kinds.NAMESPACES, kinds.SERVICES, kinds.SERVICE_ENTRIES}
    assert learned.put(by_label[kinds.NAMESPACES], "", "books", {})
    assert learned.put(by_label[kinds.SERVICES], "cards", "pay", {})
    assert not learned.put(by_label[kinds.SERVICES], "cards", "refund", {})
    assert learned.put(by_label[kinds.SERVICE_ENTRIES], "banks", "rates", {})
    assert learned.drop(by_label[kinds.SERVICE_ENTRIES], "banks", "rates")
    assert {each.namespace for each in wanted(learned.known)} == {"", "shop", "istio-system", "books", "cards"}
    by_name = {each.fields for each in wanted(learned.known) if each.resource == kinds.NAMESPACES and each.fields}
    assert by_name == {f"metadata.name={each}" for each in ("shop", "books", "cards")}
    assert not learned.drop(by_label[kinds.SERVICES], "cards", "pay")
    assert learned.drop(by_label[kinds.SERVICES], "cards", "refund")
    assert learned.drop(by_label[kinds.NAMESPACES], "", "books")
    assert learned.known.elsewhere == frozenset()
    assert learned.put(watch, "shop", "way", gateway("Same")) and not learned.known.invites


def test_the_root_namespace_is_watched_also_when_something_bound_there_has_just_been_let_go() -> None:
    """Else its policies would be gone, and what they guard in our own namespace would be open."""
    learned = Learned(GATEWAY)
    watch = next(each for each in wanted(GATEWAY) if each.resource == kinds.GATEWAYS)
    learned.put(watch, "shop", "way", gateway("All"))
    services = next(each for each in wanted(learned.known) if each.labels and each.resource == kinds.SERVICES)
    learned.put(services, "istio-system", "istiod", {})
    learned.put(watch, "shop", "way", gateway("Same"))
    assert {each.resource for each in wanted(learned.known) if each.namespace == "istio-system"} == set(kinds.OF_ROOT)


def test_nothing_is_told_before_everything_is_known(rig: Rig) -> None:
    refused = ["pods"]
    rig.api.wrong = lambda handler: (
        any(f"/{each}?" in handler.path for each in refused)
        and handler.refuse(403, 'pods is forbidden: User "w" cannot list resource "pods"')
    )
    rig.api.put("services", object_of("Service", "in-ambient"))
    rig.source.start()
    wait_for(lambda: "403" in rig.source.reason, lambda: rig.source.reason)
    assert rig.names == set() and not rig.source.synced and rig.news == 0
    assert rig.source.reason == (
        'kubernetes: pods in shop: 403 pods is forbidden: User "w" cannot list resource "pods"; it takes the rule '
        '{apiGroups: [""], resources: [pods], verbs: [get, list, watch]} in a Role of namespace shop'
    )
    refused.clear()
    wait_for(lambda: rig.source.synced, lambda: rig.source.reason)
    assert rig.source.reason == "" and rig.news and rig.source.troubles() == []
    assert rig.names == {"services shop/in-ambient"}


def test_what_is_only_for_advice_is_not_waited_for(rig: Rig) -> None:
    rig.api.wrong = lambda handler: "/telemetries?" in handler.path and handler.refuse(403, "no")
    rig.source.start()
    wait_for(lambda: rig.source.synced, lambda: rig.source.reason)
    assert any("telemetries" in each for each in rig.source.troubles())


def test_namespaces_come_and_go_with_what_is_bound(rig: Rig) -> None:
    """A Service found by its label is told of with its endpoints, not before, and once, though two watches have it."""
    rig.api.put("gateways", gateway("All"))
    rig.source.start()
    wait_for(lambda: rig.source.synced)
    rig.api.put("endpointslices", object_of("EndpointSlice", "pay-1", "cards"))
    rig.api.put("services", object_of("Service", "other", "cards"))
    rig.api.wrong = lambda handler: "/cards/endpointslices" in handler.path and handler.refuse(503, "not yet")
    rig.api.put("services", object_of("Service", "pay", "cards", BOUND))
    wait_for(lambda: any("not yet" in each for each in rig.source.troubles()))
    assert not any("cards" in each for each in rig.names)
    rig.api.wrong = lambda handler: False
    wait_for(lambda: "endpointslices cards/pay-1" in rig.names)
    assert {"services cards/pay", "services cards/other"} <= rig.names
    rig.api.delete("services", "pay", "cards")
    wait_for(lambda: not any("cards" in each for each in rig.names), lambda: rig.names)


def test_what_changes_together_is_told_together(rig: Rig) -> None:
    """Whoever takes it does so in a thread of its own: between two objects a Service would stand without its policy."""
    rig.api.put("gateways", gateway("All"))
    rig.api.put("services", object_of("Service", "pay", "cards", BOUND))
    rig.api.put("authorizationpolicies", object_of("AuthorizationPolicy", "nobody", "cards"))
    taken: list[list[Change]] = []
    rig.source = KubernetesSource(rig.api.client, GATEWAY, lambda: taken.append(list(rig.source.take())))
    rig.source.start()
    wait_for(lambda: sum(each.id.namespace == "cards" for batch in taken for each in batch) >= 2)
    rig.api.delete("services", "pay", "cards")
    wait_for(lambda: any(each.body is None for batch in taken for each in batch))
    gone = [{each.id.name for each in batch if each.body is None} for batch in taken]
    assert [each for each in gone if each] == [{"pay", "nobody"}]


def test_a_namespace_we_may_not_read_holds_back_only_itself(rig: Rig) -> None:
    rig.api.put("gateways", gateway("All"))
    rig.api.put("services", object_of("Service", "pay", "cards", BOUND))
    rig.api.put("services", object_of("Service", "in-ambient"))
    rig.api.wrong = lambda handler: "/namespaces/cards/" in handler.path and handler.refuse(403, "no")
    rig.source.start()
    wait_for(lambda: rig.source.synced, lambda: rig.source.reason)
    wait_for(lambda: "services shop/in-ambient" in rig.names)
    assert not any("cards" in each for each in rig.names)
    assert any("Role of namespace cards" in each for each in rig.source.troubles())


def test_the_server_away_for_a_while_changes_nothing(rig: Rig) -> None:
    rig.api.put("services", object_of("Service", "a"))
    rig.source.start()
    wait_for(lambda: "services shop/a" in rig.names)
    before = len(rig.seen)
    rig.api.wrong = lambda handler: handler.refuse(503, "starting")
    rig.api.cut()
    wait_for(lambda: len(rig.source.troubles()) > 5)
    assert rig.names == {"services shop/a"} and len(rig.seen) == before and rig.source.synced
    rig.api.put("services", object_of("Service", "b"))
    rig.api.wrong = lambda handler: False
    wait_for(lambda: "services shop/b" in rig.names)
    wait_for(lambda: not rig.source.troubles(), rig.source.troubles)
