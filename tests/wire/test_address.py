"""Addresses as the log has them."""

import random

import pytest

from proxy.wire.address import Address


def test_any_ipv4_address_and_port() -> None:
    chance = random.Random(4)
    edges = [("0.0.0.0", 0), ("255.255.255.255", 65535), ("10.9.100.1", 9), ("1.20.3.199", 10)]
    for ip, port in [
        *edges,
        *(
            (".".join(str(chance.randrange(256)) for _ in range(4)), chance.choice((7, 80, 443, 8080, 15008)))
            for _ in range(500)
        ),
    ]:
        assert Address(ip, port).text == f"{ip}:{port}".encode()


def test_ipv6_in_brackets_but_not_ipv4_in_its_clothes() -> None:
    assert Address("2001:db8::1", 80).text == b"[2001:db8::1]:80"
    assert Address("::ffff:10.0.0.7", 8080).text == b"10.0.0.7:8080"


def test_what_is_no_address() -> None:
    for text in ("localhost", "10.0.0", "10.0.0.256", ""):
        with pytest.raises(ValueError, match="not an IP address"):
            Address(text, 80)
