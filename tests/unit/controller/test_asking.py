"""What is asked of a real DNS server, and how its answers and refusals are understood."""

from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import pytest

from proxy.controller import asking
from proxy.controller.asking import Unanswered, ask
from proxy.controller.names import Answer
from tests.dns_rig import DnsServer, dns_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DnsServer]:
    """With a resolv.conf that has search domains."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.254\nsearch shop.test zoo.test\noptions ndots:2\n")
    monkeypatch.setattr(asking, "RESOLV_CONF", str(resolv))
    monkeypatch.setattr(asking, "PATIENCE_S", 0.5)
    monkeypatch.setattr(asking, "_kinds", lambda: ["A", "AAAA"])
    with dns_server(api=["192.0.2.1", "192.0.2.2", "2001:db8::1"]) as made:
        yield made


def test_addresses_of_both_families_in_the_order_they_are_given(server: DnsServer) -> None:
    server.ttl = 30
    assert ask("api.test", [server.address]) == Answer(("192.0.2.1", "192.0.2.2", "2001:db8::1"), 30)


def test_one_family_is_enough(server: DnsServer) -> None:
    server.records = {"four.test": ["192.0.2.1"], "six.test": ["2001:db8::1"]}
    assert ask("four.test", [server.address]).addresses == ("192.0.2.1",)
    assert ask("six.test", [server.address]).addresses == ("2001:db8::1",)


def test_search_domains_are_tried(server: DnsServer) -> None:
    server.records = {"bank.zoo.test": ["192.0.2.7"]}
    assert ask("bank", [server.address]).addresses == ("192.0.2.7",)
    assert server.asked[:2] == ["bank.shop.test", "bank.zoo.test"]


def test_an_answer_that_is_too_long_is_asked_for_over_tcp(server: DnsServer) -> None:
    server.truncates = True
    server.records = {"many.test": [f"192.0.2.{last}" for last in range(1, 200)]}
    assert len(ask("many.test", [server.address]).addresses) == 199
    assert server.over_tcp


def test_addresses_that_no_endpoint_may_have_are_left_out(server: DnsServer) -> None:
    server.records = {"odd.test": ["0.0.0.0", "224.0.0.1", "169.254.169.254", "192.0.2.1"], "none.test": ["0.0.0.0"]}
    assert ask("odd.test", [server.address]).addresses == ("192.0.2.1",)
    with pytest.raises(Unanswered, match="no address that an endpoint may have"):
        ask("none.test", [server.address])


def test_a_name_that_is_not_there(server: DnsServer) -> None:
    with pytest.raises(Unanswered, match=r"there is no such name \(NXDOMAIN\)"):
        ask("gone.test", [server.address])


def test_a_name_without_addresses(server: DnsServer) -> None:
    server.records = {"bare.test": []}
    with pytest.raises(Unanswered, match="no address"):
        ask("bare.test", [server.address])


def test_a_server_that_fails(server: DnsServer) -> None:
    server.rcode = dns.rcode.SERVFAIL
    with pytest.raises(Unanswered, match="refused by every name server: SERVFAIL"):
        ask("api.test", [server.address])


def test_a_server_that_is_silent_and_another_that_answers(server: DnsServer) -> None:
    with pytest.raises(Unanswered, match=r"no answer within 0\.5 s"):
        server.silent = True
        ask("api.test", [server.address])
    server.silent = False
    assert ask("api.test", ["127.0.0.1:9", server.address]).addresses[0] == "192.0.2.1"


def test_without_a_resolv_conf_the_servers_of_the_setting_are_asked(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "RESOLV_CONF", "/nowhere")
    assert ask("api.test", [server.address]).addresses[0] == "192.0.2.1"
    with pytest.raises(Unanswered):
        ask("api.test", [])


def test_a_name_that_no_name_can_be(server: DnsServer) -> None:
    with pytest.raises(Unanswered):
        ask(f"{'a' * 64}.test", [server.address])
