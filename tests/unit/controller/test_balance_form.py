"""How a loadBalancer becomes the form that workers balance by."""

import pytest

from proxy.controller.balance_form import balance_form
from proxy.mesh.traffic.balancing import (
    ConsistentHash,
    CookieAttribute,
    HttpCookie,
    LoadBalancer,
    Maglev,
    RingHash,
    Simple,
)


@pytest.mark.parametrize(
    ("simple", "algorithm"),
    [
        (Simple.UNSPECIFIED, "round_robin"),
        (Simple.ROUND_ROBIN, "round_robin"),
        (Simple.LEAST_REQUEST, "least_request"),
        (Simple.LEAST_CONN, "least_request"),
        (Simple.RANDOM, "random"),
        (Simple.PASSTHROUGH, "passthrough"),
    ],
)
def test_simple(simple: Simple, algorithm: str) -> None:
    assert balance_form(LoadBalancer(simple=simple)) == {"algorithm": algorithm, "table_size": 0}


@pytest.mark.parametrize(
    ("by", "hashed"),
    [
        (ConsistentHash(http_header_name="X-User"), ("header", "x-user", None)),
        (ConsistentHash(http_query_parameter_name="User"), ("query", "User", None)),
        (ConsistentHash(use_source_ip=True), ("source_ip", "", None)),
        (ConsistentHash(http_cookie=HttpCookie(name="s")), ("cookie", "s", None)),
        (ConsistentHash(http_cookie=HttpCookie(name="s", ttl_ms=0)), ("cookie", "s", "; HttpOnly")),
        (
            ConsistentHash(http_cookie=HttpCookie(name="s", path="/a", ttl_ms=3_600_000)),
            ("cookie", "s", "; Max-Age=3600; Path=/a; HttpOnly"),
        ),
        (
            ConsistentHash(
                http_cookie=HttpCookie(
                    name="s",
                    ttl_ms=0,
                    attributes=(CookieAttribute(name="SameSite", value="Lax"), CookieAttribute(name="Secure")),
                )
            ),
            ("cookie", "s", "; SameSite=Lax; Secure; HttpOnly"),
        ),
    ],
)
def test_what_is_hashed(by: ConsistentHash, hashed: tuple[str, str, str | None]) -> None:
    kind, name, cookie = hashed
    assert balance_form(LoadBalancer(consistent_hash=by)) == {
        "algorithm": "ring_hash",
        "table_size": 0,
        "hash": {"kind": kind, "name": name, "set_cookie": cookie},
    }


def test_algorithms_by_key() -> None:
    ring = LoadBalancer(consistent_hash=ConsistentHash(ring_hash=RingHash(minimum_ring_size=5)))
    assert balance_form(ring) == {"algorithm": "ring_hash", "table_size": 0}, "no key is named, so any endpoint will do"
    maglev = LoadBalancer(consistent_hash=ConsistentHash(use_source_ip=True, maglev=Maglev(table_size=251)))
    assert balance_form(maglev)["algorithm"] == "maglev"
    assert balance_form(maglev)["table_size"] == 251
