"""`waypointctl hbone-get` through a real replica: whether it was the waypoint that answered, and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.identities import install
from tests.integration.hbone_rig import HboneBench, Served, h2_app, h2_name, hbone_bench
from tests.integration.test_hbone_get import run
from tests.rig import wait_until

TO = [{"name": "web", "port": 8000}]


def rule(path: str, **said: Any) -> dict[str, Any]:
    return {"matches": [{"path": {"value": path}}], **said}


ROUTE = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "web", "namespace": "httpbin", "annotations": {"waypointd.io/rate-limit": "1/day key=path"}},
    "spec": {
        "parentRefs": [{"group": "", "kind": "Service", "name": "web"}],
        "rules": [
            rule("/ok", backendRefs=TO),
            rule("/often", backendRefs=TO),
            rule("/moved", filters=[{"type": "RequestRedirect", "requestRedirect": {"hostname": "a.org"}}]),
            rule("/broken", backendRefs=[]),
        ],
    },
}
POLICY = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "web", "namespace": "httpbin"},
    "spec": {
        "action": "DENY",
        "targetRefs": [{"kind": "Service", "group": "", "name": "web"}],
        "rules": [{"to": [{"operation": {"paths": ["/denied"]}}]}],
    },
}
# What is asked for, the exit status, and what is told.
ASKED = {
    "/moved": (0, "the waypoint has answered itself: a route redirects"),
    "/denied": (0, "the waypoint has answered itself: an AuthorizationPolicy"),
    "/nothing": (0, "the waypoint has answered itself: no rule of a route is for this"),
    "/broken": (1, "the waypoint has answered itself: a route's rule or backend cannot be kept"),
    "/ok": (0, ""),
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("own"), Served("web", port_name="")) as made:
        made.play("web", h2_app(h2_name))
        made.manifests.put("policy", POLICY)
        made.manifests.put("route", ROUTE)
        wait_until(lambda: made.ask("web", "/nothing") == ["404"], 20, "the file put last is in force")
        yield made


@pytest.fixture(scope="module")
def us(proxy: HboneBench, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(install(tmp_path_factory.mktemp("client"), proxy.mesh.client, proxy.mesh.ca.root))


def get(proxy: HboneBench, us: str, path: str, *arguments: str) -> tuple[int, str]:
    status, _, told = run(
        "hbone-get", f"127.0.0.1:{proxy.replica.port}", proxy.authority("web"), path, "--tls-dir", us, *arguments
    )
    return status, told


@pytest.mark.parametrize("path", ASKED)
def test_who_has_answered_is_told(proxy: HboneBench, us: str, path: str) -> None:
    status, expected = ASKED[path]
    found, told = get(proxy, us, f"{path}?{Path(us).name}", "--http2")
    assert found == status, told
    assert expected in told if expected else "answered itself" not in told, told


def test_over_http1_too(proxy: HboneBench, us: str) -> None:
    _, told = get(proxy, us, "/nothing")
    assert "the waypoint has answered itself: no rule of a route is for this" in told


def test_a_limit_that_is_used_up_is_told(proxy: HboneBench, us: str) -> None:
    get(proxy, us, "/often", "--http2")
    assert "the waypoint has answered itself: a rate limit is used up" in get(proxy, us, "/often", "--http2")[1]
