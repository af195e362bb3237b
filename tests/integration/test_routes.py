"""HTTPRoutes as files, in force in a replica: by the Service that was asked for, the client's namespace, the host."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.hbone_rig import HboneBench, Served, hbone_bench, serve_name, slice_of
from tests.manifests import gateway
from tests.rig import get

API = "gateway.networking.k8s.io/v1"
TO_WEB = {"group": "", "kind": "Service", "name": "web", "namespace": "httpbin"}
V2 = {"backendRefs": [{"name": "v2", "port": 8000}]}
WEB = {"backendRefs": [{"name": "web", "port": 8000}]}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    """With the Services web and v2, and one that uses no waypoint, far/till, whose endpoint is till's."""
    served = [Served("web"), Served("v2", hbone=False), Served("till", hbone=False)]
    with hbone_bench(tmp_path_factory.mktemp("routes"), *served, http=True) as running:
        for members in running.services.values():
            for each in members:
                each.play(serve_name)
        running.manifests.put("gateway", every_namespace(running))
        for name in ("service", "slice"):
            body = slice_of(served[2], running.services["till"]) if name == "slice" else service("till")
            body["metadata"] |= {"namespace": "far"}
            running.manifests.put(f"{name}-far", body)
        yield running


def service(name: str) -> dict[str, Any]:
    spec = {"ports": [{"name": "http", "port": 8000, "targetPort": 8080}], "clusterIP": "10.96.9.9"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def every_namespace(proxy: HboneBench) -> dict[str, Any]:
    made = gateway(proxy.http, proxy.replica.port)
    made["spec"]["listeners"][1]["allowedRoutes"] = {"namespaces": {"from": "All"}}
    return made


def obey(proxy: HboneBench, *rules: Any, ns: str = "httpbin", parent: Any = TO_WEB, **spec: Any) -> None:
    """These rules are in force, and no others of this namespace."""
    metadata = {"name": "route", "namespace": ns}
    whole = {"parentRefs": [parent], "rules": list(rules), **spec}
    body = {"apiVersion": API, "kind": "HTTPRoute", "metadata": metadata, "spec": whole}
    proxy.replica.serve(lambda: proxy.manifests.put(f"route-{ns}", body))


def lift(proxy: HboneBench, ns: str = "httpbin") -> None:
    proxy.replica.serve(lambda: proxy.manifests.remove(f"route-{ns}"))


def under(path: str, **rule: Any) -> dict[str, Any]:
    return {"matches": [{"path": {"value": path}}], **rule}


def test_m2_b12_a10_where_requests_for_a_service_go(proxy: HboneBench) -> None:
    """A backend that is bound to no waypoint is reached straight; what no rule is for is not there; one that is wrong
    costs its rule. Nobody reaches that backend himself, and an endpoint's own address has no routes."""
    far = [{"name": "till", "namespace": "far", "port": 8000}]
    broken = [{"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "b", "name": "c"}}]
    obey(proxy, under("/v2", **V2), under("/far", backendRefs=far), under("/broken", filters=broken, **WEB))
    asked = {path: proxy.ask("web", path)[0] for path in ("/v2", "/v2/x", "/v2x", "/far", "/broken", "/")}
    assert asked == {"/v2": "v2-1", "/v2/x": "v2-1", "/v2x": "404", "/far": "till-1", "/broken": "500", "/": "404"}
    assert "404 NR route_not_found" in proxy.told("GET /v2x ")
    (web,) = proxy.services["web"]
    assert proxy.ask(web.address, "/v2") == ["web-1"]
    lift(proxy)
    assert proxy.ask("web", "/v2") == ["web-1"]


def test_a4_a_consumer_route_is_for_clients_of_its_namespace(proxy: HboneBench) -> None:
    home, far = proxy.ztunnel, proxy.mesh.ca.leaf("client", "far")
    obey(proxy, {"backendRefs": [{"name": "v2", "namespace": "httpbin", "port": 8000}]}, ns="far")
    with proxy.mesh.ztunnel(("127.0.0.1", proxy.replica.port), leaf=far) as proxy.ztunnel:
        other = proxy.ask("web", "/")
    proxy.ztunnel = home
    found = {"home": proxy.ask("web", "/"), "other": other}
    assert found == {"home": ["web-1"], "other": ["v2-1"]}
    lift(proxy, "far")


def test_h1_h2_h4_hosts_of_the_gateway(proxy: HboneBench) -> None:
    def asked(host: str, path: str = "/") -> str:
        status, body = get(proxy.http, path, host)
        return body if status == 200 else str(status)

    listener = {"name": "httpbin-waypoint", "sectionName": "http"}
    obey(proxy, V2, parent=listener, hostnames=["www.example", "*.wild.example"])
    hosts = ("www.example", "WWW.example:1234", "a.b.wild.example:80", "wild.example", "other.example")
    assert [asked(each) for each in hosts] == ["v2-1", "v2-1", "v2-1", "404", "404"]
    assert asked("web.httpbin") == "web-1" and asked("web.httpbin:9") == "404", "a Service is called as ever"
    obey(proxy, V2, parent=listener, hostnames=["web.httpbin"])
    assert asked("web.httpbin") == "v2-1" and asked("www.example") == "404"
    lift(proxy)
    assert asked("web.httpbin") == "web-1"


def test_v2_v3_v9_v11_where_a_virtual_service_sends_requests(proxy: HboneBench) -> None:
    """Prefixes are texts, a subset is a cluster, what is not there is 503; and an HTTPRoute goes first."""

    def to(host: str, **more: str) -> dict[str, Any]:
        return {"route": [{"destination": {"host": host, **more}}]}

    rules = [
        {"match": [{"uri": {"prefix": "/v2"}}], **to("v2")},
        {"match": [{"uri": {"exact": "/closed"}}], "directResponse": {"status": 418, "body": {"string": "t\u00e9"}}},
        {"match": [{"uri": {"prefix": "/gone"}}], **to("gone")},
        to("web", subset="some"),
    ]
    istio = {"apiVersion": "networking.istio.io/v1", "metadata": {"name": "web", "namespace": "httpbin"}}
    virtual = {**istio, "kind": "VirtualService", "spec": {"hosts": ["web"], "http": rules}}
    subsets = {**istio, "kind": "DestinationRule", "spec": {"host": "web", "subsets": [{"name": "some"}]}}
    proxy.manifests.put("subsets", subsets)
    proxy.replica.serve(lambda: proxy.manifests.put("virtual", virtual))
    asked = {path: proxy.ask("web", path)[0] for path in ("/v2", "/v2x", "/closed", "/closed/", "/gone", "/some")}
    assert asked == {
        "/v2": "v2-1",
        "/v2x": "v2-1",
        "/closed": "418",
        "/closed/": "web-1",
        "/gone": "503",
        "/some": "web-1",
    }
    assert "t\u00e9" in str(proxy.replica.info("/config_dump")["snapshot"]["clusters"])
    assert "503 NC" in proxy.told("GET /gone ") and "|http/some|" in proxy.told("GET /some ")
    obey(proxy, V2)
    assert proxy.ask("web", "/some") == ["v2-1"]
    lift(proxy)
    assert proxy.ask("web", "/some") == ["web-1"]
    proxy.manifests.remove("virtual")
    proxy.replica.serve(lambda: proxy.manifests.remove("subsets"))
    assert proxy.ask("web", "/closed") == ["web-1"]
