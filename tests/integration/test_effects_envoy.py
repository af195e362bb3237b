"""What rules do with requests, here and in Envoy 1.40: clients get equal answers, endpoints equal requests, as many of
them. The rows are those of tests/integration/effect_rows.py, named after the reference's."""

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.envoy import Json, cluster, running
from tests.integration.effect_rows import MIRRORED, ROWS, Ask, Row
from tests.integration.http_rig import Bench, Client, Head, Peer, bench, unique
from tests.rig import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
SERVICES = ("web", "old", "copy")
OF_ANSWERS = ("date", "connection", "server", "content-length", "x-envoy-upstream-service-time")
OF_REQUESTS = ("x-request-id", "x-forwarded-proto", "x-envoy-expected-rq-timeout-ms", "content-length")
_failed: Counter[str] = Counter()


def telling(peer: Peer) -> None:
    """Answers one request with what it got; fails where the path says so, as often as it says."""
    head, _ = peer.request()
    path = head.first.split(" ")[1]
    _failed[path] += 1
    if "/late" in path:
        time.sleep(1)
    if "/reset" in path:
        peer.reset()
        return
    fails = re.search(r"/fail-(\d)", path)
    status = b"503 Off" if fails and _failed[path] <= int(fails[1]) else b"200 OK"
    body = json.dumps({"path": path, "fields": listed(head, OF_REQUESTS)}).encode()
    fields = b"x-old: 1\r\nx-a: 9\r\nx-b: 8\r\naccess-control-allow-origin: *\r\nconnection: close\r\n"
    peer.send(b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, fields, len(body), body))


def listed(head: Head, without: tuple[str, ...]) -> list[list[str]]:
    """Its fields, but for some."""
    return sorted([name.lower(), value.strip()] for name, value in head.fields if name.lower() not in without)


@dataclass(frozen=True)
class Side:
    """A port to ask, and the number of requests that endpoints have had of what was asked there."""

    port: int
    made: Bench

    def said(self, row: Row, ask: Ask, mark: str = "") -> dict[str, Any]:
        """What came of it. A mark in its query tells its requests from others'."""
        mark = mark or unique("q")
        path, query, rest = ask.path.partition("?")
        target = f"{row.path}{path}{query}{rest}{'&' if query else '?'}mark={mark}"
        with Client(self.port, 20) as client:
            head, body = client.ask(ask.host.format(row.service) or row.service, target, *ask.lines, method=ask.method)
        seen = [each for name in ("web", "old") for each in self.made.services[name][0].heads if mark in each.first]
        text = body.decode().replace(mark, "MARK")
        told = [[name, value.replace(mark, "MARK")] for name, value in listed(head, OF_ANSWERS)]
        if not any(name == "access-control-allow-origin" for name, _ in told):  # C5: Envoy says all the rest
            told = [[name, value] for name, value in told if not name.startswith("access-control-")]
        return {"status": head.status, "fields": told, "body": _read(text), "attempts": len(seen)}

    def copied(self, row: Row, ask: Ask) -> list[Any]:
        """What the mirror got of it."""
        mark = unique("q")
        self.said(row, ask, mark)
        heads = self.made.services["copy"][0].heads
        (head,) = wait_until(lambda: [each for each in heads if mark in each.first], 10, "the copy")
        fields = listed(head, (*OF_REQUESTS, "x-forwarded-for"))
        assert head["x-forwarded-for"].count(".") == 3, "an address of ours"
        return [head.first.replace(mark, ""), [[name, value.replace(mark, "")] for name, value in fields]]


def _read(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


# -- both --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Side, Side]]]:
    """For each Service a replica and Envoy."""
    directory = tmp_path_factory.mktemp("effects")
    with bench(directory, services=dict.fromkeys(SERVICES, 1)) as made, contextlib.ExitStack() as stack:
        for name in SERVICES:
            made.play(name, telling)
        for name, each in manifests().items():
            made.manifests.put(name, each)
        ports = {name: free_port() for name in ("web", "old")}
        stack.enter_context(running(Path(directory), "effects", configuration(ports, made)))
        ours = Side(made.replica.port, made)
        wait_until(lambda: in_force(ours), 20, "all routes are in force")
        yield {name: (ours, Side(port, made)) for name, port in ports.items()}


def in_force(ours: Side) -> bool:
    """The last rule of each is."""
    rows = {row.id: row for row in ROWS}
    return all(ours.said(rows[row], Ask())["status"] == status for row, status in {"B5": 500, "V9": 503}.items())


def manifests() -> dict[str, Json]:
    """A route of at most sixteen rules each."""
    rules = [row.rule for row in ROWS if row.service == "web"]
    made: dict[str, Json] = {}
    for at in range(0, len(rules), 16):
        made[f"route-{at}"] = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": f"web-{at}", "namespace": "httpbin"},
            "spec": {
                "parentRefs": [{"group": "", "kind": "Service", "name": "web"}],
                "rules": rules[at : at + 16],
            },
        }
    made["virtual"] = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "old", "namespace": "httpbin"},
        "spec": {"hosts": ["old"], "http": [row.rule for row in ROWS if row.service == "old"]},
    }
    return made


def configuration(ports: dict[str, int], made: Bench) -> Json:
    clusters = [cluster(name, (made.services[name][0].ip, made.services[name][0].port)) for name in SERVICES]
    return {
        "static_resources": {
            "listeners": [listener(name, port) for name, port in ports.items()],
            "clusters": clusters,
        }
    }


def listener(service: str, port: int) -> Json:
    filters = [
        {"name": name, "typed_config": {"@type": f"{EXTENSIONS}.http.{name}.v3.{kind}"}}
        for name, kind in {"fault": "HTTPFault", "cors": "Cors", "router": "Router"}.items()
    ]
    routes = [_match(row) | row.envoy for row in ROWS if row.service == service]
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": service,
        "normalize_path": True,
        "use_remote_address": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "route_config": {
            "validate_clusters": False,
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": filters,
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": service, "address": address, "filter_chains": [chain]}


def _match(row: Row) -> Json:
    kind = "path_separated_prefix" if row.service == "web" else "prefix"
    return {"match": {kind: row.path}}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_a_rule_does_is_what_envoy_does(both: dict[str, tuple[Side, Side]], row: Row) -> None:
    for ask in row.asks:
        ours, theirs = (side.said(row, ask) for side in both[row.service])
        assert ours == theirs, ask


@pytest.mark.parametrize("row", MIRRORED, ids=lambda row: row.id)
def test_F15_mirrors_get_what_envoys_mirrors_get(both: dict[str, tuple[Side, Side]], row: Row) -> None:
    for ask in row.asks:
        ours, theirs = (side.copied(row, ask) for side in both[row.service])
        assert ours == theirs, ask
