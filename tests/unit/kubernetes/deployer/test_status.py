"""What a Gateway's status says: reasons of the Gateway API, the generation, and times that stand still."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.kubernetes.deployer.status import Deployed, of_class, of_gateway
from tests.rig import ROOT
from tests.unit.kubernetes.deployer.wishes import MESH, WEB, wish

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
UP = Deployed(addresses=("10.96.0.9",), ready=2)


def conditions(of: Any) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in of["conditions"]}


def test_what_is_up_is_accepted_and_programmed() -> None:
    said = of_gateway(wish(MESH, WEB, generation=4), UP, {"web": 2}, NOW)
    assert conditions(said) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert {each["observedGeneration"] for each in said["conditions"]} == {4}
    mesh, web = said["listeners"]
    assert (mesh["attachedRoutes"], web["attachedRoutes"]) == (0, 2)
    assert mesh["supportedKinds"] == []
    assert [each["kind"] for each in web["supportedKinds"]] == ["HTTPRoute", "GRPCRoute"]
    assert said["addresses"][1] == {"type": "Hostname", "value": "way.shop.svc.cluster.local"}


@pytest.mark.parametrize(
    ("spec", "deployed", "accepted", "programmed"),
    [
        ({}, Deployed(), "Accepted", "AddressNotAssigned"),
        ({}, Deployed(("10.96.0.9",)), "Accepted", "Pending"),
        ({}, Deployed(("10.96.0.9",), 2, fault="Service shop/way is not ours"), "Accepted", "Invalid"),
        ({}, Deployed(fault="422 spec.clusterIPs: not in the valid range"), "Accepted", "AddressNotUsable"),
        ({}, Deployed(bad_parameters="no such ConfigMap"), "InvalidParameters", "Invalid"),
        ({"addresses": [{"type": "a.b/c", "value": "x"}]}, UP, "UnsupportedAddress", "Invalid"),
        ({"addresses": [{"value": "10.96.0.8"}, {"value": "10.96.0.9"}]}, UP, "Accepted", "AddressNotUsable"),
        ({"addresses": [{"type": "Hostname", "value": "elsewhere"}]}, UP, "Accepted", "AddressNotUsable"),
        ({"addresses": [{"value": "10.96.0.9"}]}, UP, "Accepted", "Programmed"),
        ({"addresses": [{"type": "IPAddress"}]}, UP, "Accepted", "Programmed"),
    ],
)
def test_the_reasons(spec: Any, deployed: Deployed, accepted: str, programmed: str) -> None:
    said = conditions(of_gateway(wish(**spec), deployed, {}, NOW))
    assert (said["Accepted"][1], said["Programmed"][1]) == (accepted, programmed)
    assert (said["Accepted"][0] == "True") is (accepted == "Accepted")
    assert (said["Programmed"][0] == "True") is (programmed == "Programmed")


def test_listeners_of_protocols_that_are_not_served() -> None:
    tcp = {"name": "tcp", "port": 9000, "protocol": "TCP"}
    both = of_gateway(wish(WEB, tcp), UP, {}, NOW)
    assert conditions(both)["Accepted"] == ("True", "ListenersNotValid")
    assert conditions(both["listeners"][1])["Accepted"] == ("False", "UnsupportedProtocol")
    alone = of_gateway(wish(tcp), UP, {}, NOW)
    assert conditions(alone)["Accepted"] == ("False", "ListenersNotValid")


def test_listeners_of_https() -> None:
    """Served if it ends clients' TLS by a certificate that can be used and asks them for none."""
    tls = {"certificateRefs": [{"name": "cert"}]}
    https = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}
    said = of_gateway(wish(https), UP, {}, NOW)
    assert conditions(said["listeners"][0])["Programmed"] == ("True", "Programmed")
    unresolved = Deployed(UP.addresses, 2, unresolved={"https": ("InvalidCertificateRef", "there is none")})
    (listener,) = of_gateway(wish(https), unresolved, {}, NOW)["listeners"]
    assert conditions(listener)["ResolvedRefs"] == ("False", "InvalidCertificateRef")
    assert conditions(listener)["Programmed"] == ("False", "Invalid")
    asked = {"frontend": {"default": {"validation": {"caCertificateRefs": [{"name": "cas"}]}}}}
    verified = of_gateway(wish(https, WEB, tls=asked), UP, {}, NOW)
    assert conditions(verified)["Accepted"] == ("True", "ListenersNotValid")
    assert conditions(verified["listeners"][0])["Accepted"] == ("False", "UnsupportedValue")
    assert conditions(verified["listeners"][0])["Programmed"] == ("False", "Invalid")


def test_kinds_of_routes_that_cannot_attach() -> None:
    odd = WEB | {"allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}, {"group": "a.b", "kind": "Odd"}]}}
    (listener,) = of_gateway(wish(odd), UP, {}, NOW)["listeners"]
    assert conditions(listener)["ResolvedRefs"] == ("False", "InvalidRouteKinds")
    assert [each["kind"] for each in listener["supportedKinds"]] == ["HTTPRoute"]


def test_the_time_is_that_of_the_last_change_and_the_generation_the_newest() -> None:
    before = of_gateway(wish(WEB), UP, {}, NOW)
    same = of_gateway(wish(WEB, generation=2, status=before), UP, {}, LATER)
    for each in (*same["conditions"], *same["listeners"][0]["conditions"]):
        assert (each["lastTransitionTime"], each["observedGeneration"]) == (NOW, 2)
    other = of_gateway(wish(WEB, status=before), Deployed(), {}, LATER)
    assert [each["lastTransitionTime"] for each in other["conditions"]] == [NOW, LATER]


def test_an_address_that_was_said_stays_while_the_service_has_it() -> None:
    """Without one, what is bound to the waypoint goes past it and its policies: worse than being refused."""
    nobody = Deployed(addresses=UP.addresses)
    assert of_gateway(wish(), nobody, {}, NOW)["addresses"] == []
    before = of_gateway(wish(), UP, {}, NOW)
    after = of_gateway(wish(status=before), nobody, {}, NOW)
    assert conditions(after)["Programmed"] == ("False", "Pending")
    assert after["addresses"] == before["addresses"] != []
    moved = of_gateway(wish(status=before), Deployed(addresses=("10.96.0.77",)), {}, NOW)
    assert moved["addresses"][0]["value"] == "10.96.0.77"
    assert of_gateway(wish(status=before), Deployed(), {}, NOW)["addresses"] == []


def test_a_class_is_accepted() -> None:
    assert conditions(of_class(3, "", None, NOW)) == {"Accepted": ("True", "Accepted")}
    assert conditions(of_class(3, "none there", None, NOW)) == {"Accepted": ("False", "InvalidParameters")}
    features = [each["name"] for each in of_class(3, "", None, NOW)["supportedFeatures"]]
    asked = (ROOT / "tests/cluster/conformance/files/features-gateway.txt").read_text().splitlines()
    assert features == asked[1:] == sorted(features), "the suite is told so too"
