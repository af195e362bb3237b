"""Which Events follow from what a controller knows."""

from collections.abc import Iterator, Mapping
from typing import cast

import pytest

from proxy.controller.events import Events, notices_of
from proxy.fleet.sightings import AGAIN_MS, Sighting, Sightings
from proxy.ipc.snapshot import ClusterForm
from proxy.kubernetes.api.events import Notice
from proxy.kubernetes.source import kinds
from proxy.kubernetes.source.source import Id

OUT = Sighting("shop/pay:8000", "10.0.0.1:80", "pay-1", True, "until 16:00 (30s): 5 consecutive failures", "1 fleet ab")


class Nothing:
    """No endpoint is out."""

    def look(self, clusters: Mapping[str, ClusterForm], now_ms: int, now_s: float) -> Iterator[Sighting]:
        return iter(())


class Rig:
    def __init__(self) -> None:
        self.told: list[Notice] = []
        self.events = Events(self.told.append, cast(Sightings, Nothing()), "shop/way", "way-a")

    def look(self, now_ms: int) -> list[Notice]:
        self.told.clear()
        self.events.look({}, now_ms, 0.0)
        return self.told


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_ejection_is_told_on_pod_and_service() -> None:
    pod, service = notices_of(OUT, "shop/way")
    assert str(pod.subject) == "Pod shop/pay-1" and pod.reason == "EndpointEjected" and pod.warning
    assert pod.message == (
        "It gets no traffic of shop/pay:8000 through waypoint shop/way until 16:00 (30s): 5 consecutive failures"
    )
    assert str(service.subject) == "Service shop/pay"
    assert service.message.startswith("Endpoint pay-1 (10.0.0.1:80) gets no traffic of port 8000 through waypoint")
    back, _ = notices_of(OUT._replace(out=False, text="its time is over"), "shop/way")
    assert back.reason == "EndpointReturned" and not back.warning and back.occurrence == pod.occurrence
    assert back.message == "It gets traffic again of shop/pay:8000 through waypoint shop/way: its time is over"


def test_an_endpoint_without_a_pod_is_told_on_the_service_alone() -> None:
    (only,) = notices_of(OUT._replace(workload=""), "shop/way")
    assert str(only.subject) == "Service shop/pay" and "Endpoint 10.0.0.1:80 gets" in only.message


def test_an_endpoint_of_a_service_entry_is_told_on_its_pod_alone() -> None:
    """Nothing is called as its cluster, which has the name of a host."""
    (only,) = notices_of(OUT._replace(cluster="shop/api.example.com:443"), "shop/way")
    assert str(only.subject) == "Pod shop/pay-1"


def test_a_refused_object_is_told_on_itself_once_and_again_while_it_is(rig: Rig) -> None:
    rule = Id(kinds.OF_ROOT[0].full_name, "shop", "rule")
    rig.events.refused({rule: "host: must be there; it is left out until that is mended"})
    (notice,) = rig.look(1000)
    assert str(notice.subject) == "DestinationRule shop/rule" and notice.reason == "Refused"
    assert notice.message == (
        "Waypoint shop/way cannot use it: host: must be there; it is left out until that is mended"
    )
    assert rig.look(2000) == []
    assert rig.look(1000 + AGAIN_MS) == [notice], "the same one: counted"
    rig.events.refused({rule: "host: must be text"})
    (other,) = rig.look(3000 + AGAIN_MS)
    assert other.occurrence != notice.occurrence
    rig.events.refused({})
    assert rig.look(4000 + AGAIN_MS) == []
    rig.events.refused({rule: "host: must be text"})
    assert len(rig.look(5000 + AGAIN_MS)) == 1


def test_what_is_in_no_namespace_has_no_event(rig: Rig) -> None:
    rig.events.refused({Id(kinds.GATEWAY_CLASSES.full_name, "", "waypointd"): "spec: must be there"})
    assert rig.look(1000) == []


def test_a_certificate_near_its_end_is_told_on_the_gateway(rig: Rig) -> None:
    rig.events.certificate("our certificate expires in 3 hours, at noon: istiod does not answer", expired=False)
    rig.events.certificate("our certificate expires in 2 hours, at noon: istiod does not answer", expired=False)
    rig.events.certificate("our certificate expired at noon, peers refuse it", expired=True)
    assert [each.reason for each in rig.told] == ["CertificateEnding"] * 2 + ["CertificateExpired"]
    assert {str(each.subject) for each in rig.told} == {"Gateway shop/way"}
    assert rig.told[0].message.startswith("Replica way-a: our certificate expires in 3 hours")
    assert rig.told[0].occurrence == rig.told[1].occurrence != rig.told[2].occurrence
