"""What is read of a CORS filter: rows C1, C4 and C8 of the reference's tables."""

from __future__ import annotations

from typing import Any

import pytest
import re2

from proxy.mesh.traffic.routing import Cors
from tests.unit.mesh.route_rig import filtered, read


def cors(**said: Any) -> Cors:
    """What comes of a filter that is right."""
    route, faults, warnings = read({"filters": [filtered("CORS", **said)]})
    assert route is not None and not faults and not warnings
    found = route.rules[0].filters.cors
    assert found is not None
    return found


def test_c4_what_is_not_said() -> None:
    found = cors(allowOrigins=["https://a.example"])
    assert found == Cors(found.origins) and found.origins.exact == ("https://a.example",)
    assert found.max_age_s == 5


def test_c4_what_is_said() -> None:
    said = {"allowMethods": ["GET"], "allowHeaders": ["*"], "exposeHeaders": ["x"], "allowCredentials": True}
    found = cors(allowOrigins=["*"], maxAge=60, **said)
    assert found == Cors(found.origins, ("GET",), ("*",), ("x",), True, 60)


@pytest.mark.parametrize(
    ("pattern", "origin", "fits"),
    [
        pytest.param("https://*.bar.com", "https://a.b.bar.com", True, id="C1"),
        pytest.param("https://*.bar.com", "https://foobar.com", False, id="C1-dot"),
        pytest.param("https://*.bar.com", "https://evil.com/.bar.com", False, id="C1-path"),
        pytest.param("https://*.bar.com", "https://a.bar.com:8443", False, id="C1-port"),
        pytest.param("https://*.bar.com:8443", "https://a.bar.com:8443", True, id="C1-its-port"),
        pytest.param("https://*", "https://any.example", True, id="C1-any-host"),
        pytest.param("https://*", "http://any.example", False, id="C1-scheme"),
        pytest.param("*", "http://any.example:8080", True, id="C8"),
        pytest.param("*", "null", False, id="C8-null"),
    ],
)
def test_origins_with_a_star(pattern: str, origin: str, fits: bool) -> None:
    origins = cors(allowOrigins=[pattern]).origins
    assert not origins.exact and bool(re2.fullmatch(origins.like[0], origin)) is fits
