"""HTTPRoutes of a Service, from manifests to what clients and endpoints see, as the conformance suite's mesh tests have
it, and what is told of it. What rules do is tested one by one in test_routing.py."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.http_rig import Bench, Client, Head, bench, unique
from tests.integration.routed_rig import named
from tests.rig import wait_until

WEB = {"group": "", "kind": "Service", "name": "web"}


def route(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "httpbin"},
        "spec": {"parentRefs": [WEB], "rules": list(rules)},
    }


def rule(prefix: str, *backends: str | tuple[str, int], **fields: Any) -> dict[str, Any]:
    """For what is below a path. Backends have port 8000, some a weight."""
    pairs = [each if isinstance(each, tuple) else (each, 1) for each in backends]
    refs = [{"name": name, "port": 8000, "weight": weight} for name, weight in pairs]
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
        **({"backendRefs": refs} if refs else {}),
        **fields,
    }


def modifier(kind: str) -> dict[str, Any]:
    said = {"set": [{"name": "X-Set", "value": "s"}], "add": [{"name": "X-Old", "value": "a"}], "remove": ["x-gone"]}
    return {"type": kind, kind[0].lower() + kind[1:]: said}


REWRITE = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/one"}, "hostname": "one.org"}
REDIRECT = {"scheme": "https", "hostname": "a.org", "statusCode": 301}
FIRST = route(
    "first",
    rule("/v1", "v1"),
    rule("/v2", "v2"),
    rule("/split", ("v1", 70), ("v2", 30)),
    rule("/nobody", "nobody"),
    rule("/headers", "v1", filters=[modifier("RequestHeaderModifier"), modifier("ResponseHeaderModifier")]),
    rule("/rewrite", "v1", filters=[{"type": "URLRewrite", "urlRewrite": REWRITE}]),
    rule("/redirect", filters=[{"type": "RequestRedirect", "requestRedirect": REDIRECT}]),
)
MATCHES = [{"headers": [{"name": "Version", "value": "two"}], "path": {"value": "/"}}, {"path": {"value": "/v1/2"}}]
SECOND = route("second", {"matches": MATCHES, "backendRefs": [{"name": "v2", "port": 8000}]})


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    services = {"web": 1, "v1": 1, "v2": 1}
    arguments = ("--access-log-format", "json")
    with bench(tmp_path_factory.mktemp("routes"), *arguments, services=services, rules=[FIRST, SECOND]) as running:
        for name in services:
            running.play(name, named)
        yield running


def ask(proxy: Bench, path: str, *fields: str, service: str = "web") -> tuple[Head, str]:
    with proxy.client() as client:
        head, text = client.ask(service, path, *fields)
    return head, text.decode()


@pytest.mark.parametrize(
    ("path", "fields", "name"),
    [
        ("/v1", (), "v1-0"),
        ("/v1/", (), "v1-0"),
        ("/v2/x", (), "v2-0"),
        ("/v1/2/x", (), "v2-0"),
        ("/v1", ("version: two",), "v1-0"),
        ("/x", ("version: two",), "v2-0"),
        ("/x", (), ""),
        ("/v1example", (), ""),
    ],
)
def test_M2_of_two_routes_the_most_specific_match(proxy: Bench, path: str, fields: tuple[str, ...], name: str) -> None:
    head, text = ask(proxy, path, *fields)
    assert (head.status, text) == ((200, name) if name else (404, ""))
    assert ask(proxy, path, service="v1")[1] == "v1-0", "it is the frontend that counts"


def test_F3_F13_headers_and_rewrites(proxy: Bench) -> None:
    head, _ = ask(proxy, "/headers", "x-old: o", "x-gone: g")
    seen = proxy.services["v1"][0].heads[-1]
    assert (seen["x-set"], seen["x-old"], "x-gone" in seen) == ("s", "o,a", False)
    assert (head["x-set"], head["x-old"]) == ("s", "1,a")
    ask(proxy, "/rewrite/two?x")
    seen = proxy.services["v1"][0].heads[-1]
    assert (seen.first, seen["host"]) == ("GET /one/two?x HTTP/1.1", "one.org")
    head, _ = ask(proxy, "/redirect/x")
    assert (head.status, head["location"]) == (301, "https://a.org/redirect/x")


def test_B1_B5_weights_and_a_backend_that_is_none(proxy: Bench) -> None:
    with Client(proxy.replica.port) as client:
        found = Counter(client.ask("web", "/split")[1] for _ in range(200))
    assert set(found) == {b"v1-0", b"v2-0"}
    assert found[b"v1-0"] / 2 == pytest.approx(70, abs=15)
    assert ask(proxy, "/nobody")[0].status == 500


def test_the_log_has_the_rule_and_the_cluster_that_the_request_went_to(proxy: Bench) -> None:
    mark = unique("t")
    for path in (f"/x/../v1/{mark}", f"/none/{mark}", f"/nobody/{mark}"):
        ask(proxy, path)
    lines = wait_until(lambda: found if len(found := proxy.waypoint.lines(mark)) == 3 else None, 5, "three lines")
    entries = [json.loads(line) for line in lines]
    told = [(e["path"], e["route_name"], e["response_flags"], e["response_code_details"]) for e in entries]
    assert told == [
        (f"/v1/{mark}", "HTTPRoute httpbin/first rule 0", "-", "via_upstream"),
        (f"/none/{mark}", "default", "NR", "route_not_found"),
        (f"/nobody/{mark}", "HTTPRoute httpbin/first rule 3", "NC", "cluster_not_found"),
    ]
    clusters = [entry["upstream_cluster"] for entry in entries]
    assert [each.split("|")[3].split(".")[0] for each in clusters] == ["v1", "web", "web"]
