"""ServiceEntries with resolution DNS and DNS_ROUND_ROBIN: which names are asked for, and what comes of the answers."""

from __future__ import annotations

from proxy.mesh.resolving.load import Loader
from tests.unit.mesh.entry_rig import BASE, HOST, NAME, SELECTING, TUNNEL, answered, at, dns, port
from tests.unit.mesh.mesh_rig import USE, documents, entry, external, gateway, listener, namespace, warnings


def test_resolution_dns_asks_for_the_host_and_has_every_answer() -> None:
    found, loader = answered(dns(ports=[port(80, "http", targetPort=8080)]), host=["192.0.2.1", "fd00::1"])
    assert loader.names == {HOST}
    assert found == ["192.0.2.1:8080", "[fd00::1]:8080"]
    assert warnings(*BASE, dns()) == ""


def test_resolution_dns_of_endpoints_that_are_names_and_addresses() -> None:
    given = dns(endpoints=[at("a.example", weight=2), at("192.0.2.9"), at("B.example", ports={"http": 81})])
    found, loader = answered(given, a=["192.0.2.1", "192.0.2.2"], b=["192.0.2.3"], host=["192.0.2.4"])
    assert loader.names == {"a.example", "b.example"}
    assert found == ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.9:80", "192.0.2.3:81"]


def test_resolution_dns_of_entries_that_it_selects() -> None:
    found, loader = answered(dns(**SELECTING), entry(address="a.example"), entry("b"), a=["192.0.2.1"])
    assert (found, loader.names) == (["10.1.0.1:80", "192.0.2.1:80"], {"a.example"})


def test_resolution_dns_round_robin_has_the_first_answer_alone() -> None:
    found, _ = answered(dns(resolution="DNS_ROUND_ROBIN"), host=["192.0.2.1", "192.0.2.2"])
    assert found == ["192.0.2.1:80"]


def test_resolution_dns_without_an_answer_has_no_endpoints() -> None:
    found, loader = answered(dns())
    assert (found, loader.names) == ([], {HOST})


def test_what_dns_is_asked_for_is_explained() -> None:
    _, loader = answered(dns())
    assert loader.explained(True)[0] == f"{NAME} (http): no endpoints, requests get 503; DNS is asked for {HOST}"
    _, loader = answered(dns(), host=["192.0.2.1"])
    assert loader.explained(True)[0].endswith(f"1 in plain TCP (192.0.2.1:80); DNS is asked for {HOST}")


def test_an_answer_changes_only_its_own_cluster() -> None:
    _, loader = answered(dns(), external("other", hosts=["c.example"]), host=["192.0.2.1"])
    before = loader.loaded().snapshot
    loader.answer(HOST, ["192.0.2.2"])
    after = loader.loaded().snapshot
    assert before and after
    assert [each.address for each in after.clusters[NAME].endpoints] == ["192.0.2.2:80"]
    assert after.clusters["shop/c.example:80"] is before.clusters["shop/c.example:80"]
    assert after.listeners[0].services is before.listeners[0].services


def test_an_answer_outlives_a_change_of_the_gateway() -> None:
    _, loader = answered(dns(), host=["192.0.2.1"])
    again = loader.load(documents(namespace(), gateway(listener(port=81)), dns())).snapshot
    assert again and [each.address for each in again.clusters[NAME].endpoints] == ["192.0.2.1:80"]


def test_names_are_asked_for_only_where_they_are_served() -> None:
    loader = Loader()
    loader.load(documents(*BASE, dns(labels={USE: "none"})))
    assert loader.names == set()
    loader.load(documents(dns()))
    assert loader.names == set(), "there is no Gateway"


def test_endpoints_by_name_are_outside_whatever_the_entry_is_labelled() -> None:
    _, loader = answered(dns(labels=TUNNEL), host=["192.0.2.1"])
    snapshot = loader.loaded().snapshot
    assert snapshot and not snapshot.clusters[NAME].endpoints[0].hbone
