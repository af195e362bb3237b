"""AuthorizationPolicies in force, through a whole replica: who gets in, what the others are told, what the log says.

Which requests a policy matches is tested without one (tests/unit/controller/test_access_form.py).
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy.mesh.kinds.rate_limits import ANNOTATION
from tests.hbone.ztunnel import Refused, Ztunnel
from tests.integration.hbone_rig import (
    HboneBench,
    Served,
    TunnelClient,
    echo,
    h2_app,
    h2_client,
    h2_headers,
    h2_name,
    hbone_bench,
)
from tests.integration.http_rig import Client, serve_ok, unique
from tests.rig import wait_until

PATHS = ("/no", "/", "/", "/", "/no")
DENIED = b"RBAC: access denied"
FRIEND = "cluster.local/ns/httpbin/sa/client-in-ambient"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [
        Served("web"),
        Served("grpc", port=5000, port_name="grpc-api"),
        Served("data", port=7000, port_name="tcp"),
        Served("any", port=7001, port_name=""),
    ]
    with hbone_bench(tmp_path_factory.mktemp("access"), *served, http=True) as running:
        yield running


@pytest.fixture
def stranger(proxy: HboneBench) -> Iterator[Ztunnel]:
    leaf = proxy.mesh.ca.leaf("stranger")
    with proxy.mesh.ztunnel(("127.0.0.1", proxy.replica.port), leaf=leaf) as made:
        yield made


def policy(service: str, *rules: Any, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "who", "namespace": "httpbin"},
        "spec": {"targetRefs": [{"kind": "Service", "group": "", "name": service}], "rules": list(rules), **spec},
    }


@contextlib.contextmanager
def in_force(proxy: HboneBench, made: dict[str, Any]) -> Iterator[None]:
    """The worker has it when this goes on, and no more when it is over."""
    _put(proxy, lambda: proxy.manifests.put("policy", made))
    try:
        yield
    finally:
        _put(proxy, lambda: proxy.manifests.remove("policy"))


def _put(proxy: HboneBench, change: Callable[[], object]) -> None:
    before = proxy.replica.info("/server_info")["snapshot"]
    change()

    def applied() -> bool:
        info = proxy.replica.info("/server_info")
        return bool(info["snapshot"] > before and info["workers"][0]["snapshot"] == info["snapshot"])

    wait_until(applied, 10, "the worker has it")


def test_Z8_only_who_may_gets_in(proxy: HboneBench, stranger: Ztunnel) -> None:
    endpoint = proxy.play("web", serve_ok)
    path = unique()
    with in_force(proxy, policy("web", {"from": [{"source": {"principals": [FRIEND]}}]})):
        with proxy.client("web") as client:
            assert client.ask("web", "/")[0].status == 200
        with contextlib.closing(stranger.tunnel(proxy.authority("web"))) as tunnel:
            head, body = TunnelClient(tunnel).ask("web", path)
            assert (head.status, body, head["content-type"]) == (403, DENIED, "text/plain")
    assert "rbac_access_denied_matched_policy[none]" in proxy.told(path)
    assert len(endpoint.heads) == 1


def test_the_rule_that_denies_is_in_the_log(proxy: HboneBench) -> None:
    proxy.play("web", serve_ok)
    with in_force(proxy, policy("web", {"to": [{"operation": {"paths": ["/admin*"]}}]}, action="DENY")):
        with proxy.client("web") as client:
            path = f"/admin{unique()}"
            assert [client.ask("web", each)[0].status for each in (path, "/", "/ADMIN", "//admin")] == [
                403,
                200,
                200,
                200,
            ]
        line = proxy.told(path)
        assert " 403 - rbac_access_denied_matched_policy[ns[httpbin]-policy[who]-rule[0]] " in line


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/x/../admin", 403), ("/./admin", 403), ("/%61dmin", 403), ("/admin/.", 403), ("/x/%2e%2e/admin", 403)),
        ("/x%5cadmin", 400),
    ],
)
def test_where_rules_go_by_paths_they_are_brought_into_one_form(proxy: HboneBench, path: str, status: int) -> None:
    endpoint = proxy.play("web", serve_ok)
    with in_force(proxy, policy("web", {"to": [{"operation": {"paths": ["/admin*"]}}]}, action="DENY")):
        with proxy.client("web") as client:
            assert client.ask("web", path)[0].status == status
        with proxy.client("web") as client:
            assert client.ask("web", f"/fine?{path}")[0].status == 200
    with proxy.client("web") as client:
        assert client.ask("web", path)[0].status == 200, "no rule, no matter"
    assert len(endpoint.heads) == 2


def test_E37_rules_see_the_path_that_was_asked_for_and_not_what_a_route_makes_of_it(proxy: HboneBench) -> None:
    endpoint = proxy.play("web", serve_ok)
    new = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/admin"}}}
    ways = [{"path": {"value": "/a"}}, {"path": {"value": "/admin"}}]
    to = [{"name": "web", "port": 8000}]
    made = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "moved", "namespace": "httpbin"},
        "spec": {
            "parentRefs": [{"kind": "Service", "group": "", "name": "web"}],
            "rules": [{"matches": [each], "filters": [new], "backendRefs": to} for each in ways],
        },
    }
    _put(proxy, lambda: proxy.manifests.put("route", made))
    try:
        denied = policy("web", {"to": [{"operation": {"paths": ["/admin*"]}}]}, action="DENY")
        with in_force(proxy, denied), proxy.client("web") as client:
            assert [client.ask("web", each)[0].status for each in ("/a/x", "/admin/x")] == [200, 403]
        assert [each.first for each in endpoint.heads] == ["GET /admin/x HTTP/1.1"]
    finally:
        _put(proxy, lambda: proxy.manifests.remove("route"))


@pytest.mark.parametrize("name", ["X-Who", "x_who", "x^who", "X.Who~"])
def test_every_line_of_a_header_is_looked_at(proxy: HboneBench, name: str) -> None:
    proxy.play("web", serve_ok)
    rule = {"when": [{"key": f"request.headers[{name}]", "values": ["evil"]}]}
    with in_force(proxy, policy("web", rule, action="DENY")), proxy.client("web") as client:
        assert client.ask("web", "/", f"{name.lower()}: good", f"{name.upper()}: evil")[0].status == 403
        assert client.ask("web", "/", f"{name}: good")[0].status == 200


def test_Z8_http2_and_grpc(proxy: HboneBench) -> None:
    proxy.play("grpc", h2_app(h2_name))
    made = policy("grpc", {"to": [{"operation": {"paths": ["/secret*"]}}]}, action="DENY")
    with in_force(proxy, made), contextlib.closing(h2_client(proxy.tunnel("grpc"))) as client:
        ask = {"content_type": "application/grpc", "te": "trailers"}
        answer = client.request(h2_headers("/secret.S/Get", method="POST", **ask), end=True).answered()
        assert (answer[":status"], answer["grpc-status"], answer["grpc-message"]) == ("200", "7", DENIED.decode())
        taken = client.request(h2_headers("/open.S/Get", method="POST"), end=True)
        assert taken.answered()[":status"] == "200"


def test_a_connection_that_may_not_is_refused_with_its_connect(proxy: HboneBench, stranger: Ztunnel) -> None:
    endpoint = proxy.play("data", echo)
    with in_force(proxy, policy("data", {"from": [{"source": {"principals": [FRIEND]}}]})):
        with contextlib.closing(proxy.tunnel("data")) as tunnel:
            tunnel.sendall(b"hello")
            assert tunnel.recv(5) == b"hello"
        before = len(endpoint.peers)
        with pytest.raises(Refused) as refused:
            stranger.tunnel(proxy.authority("data"))
        assert (refused.value.status, len(endpoint.peers)) == (403, before)
    assert "rbac_access_denied_matched_policy[none]" in proxy.told("CONNECT", "rbac")


def test_Z53_bytes_where_nothing_is_declared_are_judged_when_they_come(proxy: HboneBench, stranger: Ztunnel) -> None:
    endpoint = proxy.play("any", echo)
    with in_force(proxy, policy("any", {"from": [{"source": {"principals": [FRIEND]}}]})):
        before = len(endpoint.peers)
        with contextlib.closing(stranger.tunnel(proxy.authority("any"))) as tunnel, contextlib.suppress(OSError):
            tunnel.sendall(b"\0hello")
            assert tunnel.recv(5) == b""
        assert len(endpoint.peers) == before
    assert "rbac_access_denied_matched_policy[none]" in proxy.told("- - -", "rbac")


def test_without_an_identity_no_principal_matches(proxy: HboneBench) -> None:
    proxy.play("web", serve_ok)
    with in_force(proxy, policy("web", {"from": [{"source": {"principals": ["*"]}}]})):
        with Client(proxy.http) as client:
            assert client.ask("web")[0].status == 403
        with proxy.client("web") as tunnelled:
            assert tunnelled.ask("web")[0].status == 200


def test_a_rate_limit_by_identity_counts_each_client_by_itself_and_nobody_who_is_denied(
    proxy: HboneBench, stranger: Ztunnel
) -> None:
    proxy.play("web", serve_ok)
    plain = json.loads((proxy.manifests.path / "service-web.json").read_text())
    annotations = {ANNOTATION: "1/day burst=2 key=identity"}
    limited = plain | {"metadata": plain["metadata"] | {"annotations": annotations}}
    _put(proxy, lambda: proxy.manifests.put("service-web", limited))
    try:
        denied = {"to": [{"operation": {"paths": ["/no"]}}]}
        with (
            in_force(proxy, policy("web", denied, action="DENY")),
            proxy.client("web") as client,
            contextlib.closing(stranger.tunnel(proxy.authority("web"))) as tunnel,
        ):
            asked = [each.ask("web", path)[0].status for each in (client, TunnelClient(tunnel)) for path in PATHS]
        assert asked == [403, 200, 200, 429, 403] * 2
    finally:
        _put(proxy, lambda: proxy.manifests.put("service-web", plain))
