"""What rules of HTTPRoutes and VirtualServices do with requests, from manifests, for clients of HTTP/1.1 and HTTP/2, in
tunnels and without; and what is counted and told of routes, policies, tokens and limits."""

import contextlib
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from proxy.mesh.kinds.rate_limits import ANNOTATION
from tests.integration import hbone_rig
from tests.integration.hbone_rig import HboneBench, Served, h2_client, h2_headers, hbone_bench
from tests.integration.http_rig import Client, Peer, unique
from tests.integration.metrics_rig import OPENMETRICS, scrape
from tests.issuer_rig import ISSUER, Issuer
from tests.rig import wait_until

WAYS = ("plain", "plain-http2", "tunnel", "tunnel-http2")
ORIGIN = "https://www.foo.com"
ISSUES = Issuer()
BACKEND = [{"name": "web", "port": 8000}]
OLD = [{"destination": {"host": "old"}}]


def rule(path: str, *filters: dict[str, Any], **also: Any) -> dict[str, Any]:
    found = {"matches": [{"path": {"value": path}}], "filters": list(filters), **also}
    return found if any(each["type"] == "RequestRedirect" for each in filters) else found | {"backendRefs": BACKEND}


def filtered(kind: str, field: str, **said: Any) -> dict[str, Any]:
    return {"type": kind, field: said}


REQUEST = {"set": [{"name": "x-a", "value": "1"}], "remove": ["x-old"]}
ANSWER = {"add": [{"name": "x-b", "value": "2"}], "remove": ["x-old"]}
HTTP_ROUTE = [
    rule(
        "/edit",
        filtered("RequestHeaderModifier", "requestHeaderModifier", **REQUEST),
        filtered("ResponseHeaderModifier", "responseHeaderModifier", **ANSWER),
    ),
    rule("/redirect", filtered("RequestRedirect", "requestRedirect", hostname="a.org", port=8443, statusCode=301)),
    rule(
        "/rewrite",
        filtered(
            "URLRewrite",
            "urlRewrite",
            hostname="one.org",
            path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
        ),
    ),
    rule("/mirror", filtered("RequestMirror", "requestMirror", backendRef={"name": "copy", "port": 8000})),
    rule("/flaky", retry={"codes": [503], "attempts": 2}),
    rule("/cors", filtered("CORS", "cors", allowOrigins=[ORIGIN], allowMethods=["GET"])),
    rule("/session", sessionPersistence={"sessionName": "sid"}),
]


def http(path: str, **said: Any) -> dict[str, Any]:
    found = {"match": [{"uri": {"prefix": path}}], **said}
    return found if "redirect" in said else found | {"route": OLD}


VIRTUAL_SERVICE = [
    http("/edit", headers={"request": {"set": {"x-a": "1"}, "remove": ["x-old"]}, "response": {"add": {"x-b": "2"}}}),
    http("/redirect", redirect={"authority": "a.org:8443", "redirectCode": 301}),
    http("/rewrite", rewrite={"uri": "/new", "authority": "one.org"}),
    http("/mirror", mirror={"host": "copy"}),
    http("/flaky", retries={"attempts": 2, "retryOn": "503"}),
    http("/cors", corsPolicy={"allowOrigins": [{"exact": ORIGIN}], "allowMethods": ["GET"]}),
    http("/fault", fault={"abort": {"httpStatus": 418, "percentage": {"value": 100}}}),
    {"route": OLD},
]


def of_vault(kind: str, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "httpbin", "annotations": annotations or {}},
        "spec": {"targetRefs": [{"kind": "Service", "group": "", "name": "vault"}], **spec},
    }


def under(path: str) -> dict[str, Any]:
    return {"to": [{"operation": {"paths": [f"{path}*"]}}]}


VAULT = [
    of_vault("AuthorizationPolicy", "closed", action="DENY", rules=[under("/no")]),
    of_vault("AuthorizationPolicy", "watched", action="AUDIT", rules=[under("/watched")]),
    of_vault("AuthorizationPolicy", "tried", {"istio.io/dry-run": "true"}, action="DENY", rules=[under("/tried")]),
    of_vault("RequestAuthentication", "accounts", jwtRules=[{"issuer": ISSUER, "jwks": ISSUES.jwks}]),
]


class Told(NamedTuple):
    status: int
    head: dict[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What the endpoint has seen of the request."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def telling(peer: Peer) -> None:
    """Says what it was asked; of what is flaky, the first time, that it cannot."""
    while True:
        head, _ = peer.request()
        same = [each for each in peer.endpoint.heads if each.first == head.first]
        if "/flaky" in head.first and len(same) == 1:
            peer.send(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            continue
        body = json.dumps({"path": head.first.split()[1], "head": dict(head)}).encode()
        peer.send(b"HTTP/1.1 200 OK\r\nx-old: 1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [Served("web", count=2), Served("old"), Served("copy"), Served("vault")]
    with hbone_bench(
        tmp_path_factory.mktemp("effects"), *served, http=True, args=("--access-log-format", "json")
    ) as made:
        for name in made.services:
            made.play(name, telling)
        parent = [{"group": "", "kind": "Service", "name": "web"}]
        metadata = {"name": "effects", "namespace": "httpbin"}
        route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata}
        virtual = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata}
        limited = hbone_rig.service(served[3], made.vips["vault"])
        limited["metadata"]["annotations"] = {ANNOTATION: "2/day key=header:x-who"}
        objects = {f"policy-{at}": each for at, each in enumerate(VAULT)} | {
            "service-vault": limited,
            "virtual": virtual | {"spec": {"hosts": ["old"], "http": VIRTUAL_SERVICE}},
            "route": route | {"spec": {"parentRefs": parent, "rules": HTTP_ROUTE}},
        }
        for file, each in objects.items():
            made.manifests.put(file, each)
        wait_until(lambda: ask(made, "plain", "web", "/redirect").status == 301, 20, "the file put last is in force")
        yield made


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["web", "old"], ids=["HTTPRoute", "VirtualService"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(proxy: HboneBench, way: str, name: str, path: str, method: str = "GET", **fields: str) -> Told:
    host = f"{proxy.host(name)}:8000"
    if "http2" not in way:
        lines = [f"{each.replace('_', '-')}: {value}" for each, value in fields.items()]
        with proxy.client(name) if way == "tunnel" else Client(proxy.http, 20) as client:
            head, body = client.ask(host, path, *lines, method=method)
        return Told(head.status, head, body)
    over = proxy.tunnel(name) if "tunnel" in way else socket.create_connection(("127.0.0.1", proxy.http), 20)
    with contextlib.closing(over), contextlib.closing(h2_client(over)) as connection:
        stream = connection.request(h2_headers(path, host, method, **fields), end=True)
        answer = stream.answered()
        return Told(int(answer[":status"]), answer, b"".join(iter(lambda: stream.recv(1 << 16), b"")))


def test_headers(proxy: HboneBench, way: str, name: str) -> None:
    told = ask(proxy, way, name, "/edit", x_old="0")
    assert told.status == 200
    assert (told.seen["head"]["x-a"], "x-old" in told.seen["head"]) == ("1", False)
    assert (told.head["x-b"], "x-old" in told.head) == ("2", name == "old")


def test_redirects(proxy: HboneBench, way: str, name: str) -> None:
    told = ask(proxy, way, name, "/redirect/x?y")
    assert (told.status, told.head["location"]) == (301, "http://a.org:8443/redirect/x?y")


def test_rewrites(proxy: HboneBench, way: str, name: str) -> None:
    seen = ask(proxy, way, name, "/rewrite/x?y").seen
    assert (seen["path"], seen["head"]["host"]) == ("/new/x?y", "one.org")
    assert seen["head"]["x-envoy-original-path"] == "/rewrite/x?y"


def test_mirrors(proxy: HboneBench, way: str, name: str) -> None:
    path = unique("/mirror/")
    assert ask(proxy, way, name, path).status == 200
    heads = proxy.services["copy"][0].heads
    (head,) = wait_until(lambda: [each for each in heads if path in each.first], 10, "the copy")
    assert head["host"] == f"{proxy.host(name)}-shadow:8000"


def test_retries(proxy: HboneBench, way: str, name: str) -> None:
    path = unique("/flaky/")
    assert ask(proxy, way, name, path).status == 200
    heads = [each for endpoint in proxy.services[name] for each in endpoint.heads if path in each.first]
    assert len(heads) in (2, 3), "each of two endpoints may fail it once"


def test_cors(proxy: HboneBench, way: str, name: str) -> None:
    told = ask(proxy, way, name, "/cors", method="OPTIONS", origin=ORIGIN, access_control_request_method="GET")
    assert (told.status, told.head["access-control-allow-methods"]) == (200, "GET")
    told = ask(proxy, way, name, "/cors", origin=ORIGIN)
    assert (told.head["access-control-allow-origin"], told.seen["path"]) == (ORIGIN, "/cors")


def test_faults(proxy: HboneBench, way: str) -> None:
    told = ask(proxy, way, "old", "/fault")
    assert (told.status, told.body) == (418, b"fault filter abort")


def test_sessions(proxy: HboneBench, way: str) -> None:
    """Begun by one client and known to all."""
    cookie, attributes = ask(proxy, "plain", "web", "/session").head["set-cookie"].split("; ", 1)
    assert attributes == "Path=/session; HttpOnly; SameSite=Lax"
    path = unique("/session/")
    assert all("set-cookie" not in ask(proxy, way, "web", path, cookie=cookie).head for _ in range(4))
    counts = [sum(path in each.first for each in endpoint.heads) for endpoint in proxy.services["web"]]
    assert sorted(counts) == [0, 4]


# -- what is told -----------------------------------------------------------------------------------------------------


def line(proxy: HboneBench, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(proxy.told(f'"path":"{path}"'))
    return found


def test_routes_are_counted_and_in_the_log(proxy: HboneBench) -> None:
    before = scrape(proxy.replica)
    paths = {name: [unique(each) for each in ("/edit/", "/redirect/", "/flaky/")] for name in ("web", "old")}
    for name in paths:
        for path in paths[name]:
            ask(proxy, "plain", name, path)
    assert line(proxy, paths["web"][0])["route_name"] == "HTTPRoute httpbin/effects rule 0"
    assert line(proxy, paths["old"][1])["route_name"] == "VirtualService httpbin/effects rule 1"
    for accept in ("", OPENMETRICS):
        after = scrape(proxy.replica, accept)
        labels_of = ("route", "code_class")
        counted = (each.by("waypointd_route_requests_total", *labels_of) for each in (after, before))
        assert next(counted) - next(counted) == {
            (f"{kind} httpbin/effects rule {at}", code_class): 1
            for kind in ("HTTPRoute", "VirtualService")
            for at, code_class in ((0, "2xx"), (1, "3xx"), (4, "2xx"))
        }
        for cluster in ("httpbin/web:8000", "httpbin/old:8000"):
            labels = {"cluster": cluster, "result": "success"}
            name = "waypointd_retried_requests_total"
            assert after.total(name, **labels) - before.total(name, **labels) == 1


def test_policies_tokens_and_limits_are_counted_and_told(proxy: HboneBench) -> None:
    before = scrape(proxy.replica)
    token = f"Bearer {ISSUES.token()}"
    paths = {each: unique(each) for each in ("/no", "/watched", "/tried", "/")}
    assert [ask(proxy, "plain", "vault", each, authorization=token, x_who="a").status for each in paths.values()] == [
        *(403, 200, 200, 429)
    ]
    assert ask(proxy, "plain", "vault", "/", authorization=f"Bearer {ISSUES.token(exp=1)}").status == 401
    assert ask(proxy, "plain", "vault", "/", x_who="b").status == 200
    shadow = "authorization_shadow"
    assert line(proxy, paths["/no"])[shadow] == line(proxy, paths["/"])[shadow] == "shadow_allowed"
    assert line(proxy, paths["/watched"])[shadow] == "audited:ns[httpbin]-policy[watched]-rule[0],shadow_allowed"
    assert line(proxy, paths["/tried"])[shadow] == "shadow_denied:ns[httpbin]-policy[tried]-rule[0]"
    after = scrape(proxy.replica)

    def new(name: str, *labels: str) -> Counter[tuple[str, ...]]:
        return after.by(name, *labels) - before.by(name, *labels)

    assert new("waypointd_rbac_requests_total", "cluster", "result", "policy") == {
        ("httpbin/vault:8000", "allowed", ""): 4,
        ("httpbin/vault:8000", "denied", "ns[httpbin]-policy[closed]-rule[0]"): 1,
        ("httpbin/vault:8000", "audited", "ns[httpbin]-policy[watched]-rule[0]"): 1,
        ("httpbin/vault:8000", "shadow_allowed", ""): 4,
        ("httpbin/vault:8000", "shadow_denied", "ns[httpbin]-policy[tried]-rule[0]"): 1,
    }
    assert new("waypointd_jwt_requests_total", "result", "reason") == {
        ("success", ""): 4,
        ("denied", "Jwt is expired"): 1,
    }
    assert new("waypointd_rate_limit_requests_total", "result", "limit") == {
        ("allowed", ""): 3,
        ("limited", "2/day burst=2 key=header:x-who scope=replica"): 1,
    }
    assert after.total("waypointd_counts_lost_total") == 0


def test_what_was_counted_outlives_its_worker(proxy: HboneBench) -> None:
    labels = {"route": "HTTPRoute httpbin/effects rule 1", "code_class": "3xx"}
    before = scrape(proxy.replica).total("waypointd_route_requests_total", **labels)
    pid = proxy.worker_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: proxy.replica.worker_pids() not in ([], [pid]), 20, "another worker")
    told = wait_until(lambda: _answered(proxy), 20, "an answer")
    assert told.status == 301
    assert scrape(proxy.replica).total("waypointd_route_requests_total", **labels) > before > 0


def _answered(proxy: HboneBench) -> Told | None:
    try:
        return ask(proxy, "plain", "web", "/redirect")
    except (OSError, EOFError):
        return None
