"""No request gets around an access rule: a corpus of ways to try, on the sockets of a whole replica, in each way that a
request comes, and in each of the forms that paths may have."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.hbone.stream import Stream
from tests.hbone.ztunnel import Refused
from tests.integration.bypass.asking import WAYS, Asking
from tests.integration.bypass.corpus import BY_HOST, POLICIES, Case, cases, streams
from tests.integration.bypass.oracle import wrongs
from tests.integration.hbone_rig import HboneBench, Served, h2_app, hbone_bench
from tests.integration.http_rig import Head, Scripted, serve_ok
from tests.integration.test_access import in_force, policy
from tests.rig import wait_until

STRICTEST = "DECODE_AND_MERGE_SLASHES"
NAMED = {"any": "", "data": "tcp"}
GOOD = (
    *(Case("denied", "/fine"), Case("public", "/public/x"), Case("one", "/one/a"), Case("hosts", host="good.example")),
    *(Case("onlyhost", host="good.example"), Case("role"), Case("under"), Case("wanted", lines=("x-role: good",))),
    *(Case("hosted", host="good.example"), Case("methods"), Case("get")),
)
BAD = (
    *(Case("denied", "/admin"), Case("public"), Case("one"), Case("hosts", host="secret.example"), Case("onlyhost")),
    *(Case("role", lines=("x-role: evil",)), Case("under", lines=("x_role: evil",)), Case("wanted")),
    *(Case("hosted", host="secret.example"), Case("methods", method="POST"), Case("get", method="POST")),
    Case("any", "/admin"),
)


@pytest.fixture(
    scope="module",
    params=[STRICTEST, *(pytest.param(each, marks=pytest.mark.slow) for each in ("BASE", "MERGE_SLASHES", "NONE"))],
)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, mode: str) -> Iterator[HboneBench]:
    served = [Served(name, hbone=False, port_name=NAMED.get(name, "http")) for name in POLICIES]
    args = ("--path-normalization", mode)
    with hbone_bench(tmp_path_factory.mktemp("bypass"), *served, http=True, args=args) as running:
        for name, spec in POLICIES.items():
            made = policy(name, **spec) | {"spec": policy(name)["spec"] | spec}
            made["metadata"]["name"] = name
            running.manifests.put(f"policy-{name}", made)
        with contextlib.closing(Asking(running, "http1")) as asking:
            wait_until(lambda: [asking.ask(case) for case in BAD] == [403] * len(BAD), 20, "all rules are in force")
        yield running


def noting(endpoint: Scripted) -> Callable[[Stream], None]:
    """An app that takes note of heads in HTTP/2 as if they had come in HTTP/1.1."""

    def serve(stream: Stream) -> None:
        while stream.recv(1 << 16):
            pass
        said = {name: value for name, value in stream.headers.items() if name[0] != ":"}
        said["host"] = stream.headers[":authority"]
        lines = [f"{stream.headers[':method']} {stream.headers[':path']} HTTP/1.1", *map(": ".join, said.items())]
        endpoint.heads.append(Head("\r\n".join(lines).encode("latin-1")))
        stream.connection.respond(stream, [(":status", "200")], end=True)

    return serve


@pytest.mark.parametrize(
    "way", [pytest.param(each, marks=pytest.mark.slow) if each.startswith("plain") else each for each in WAYS]
)
def test_nothing_gets_around_a_rule(proxy: HboneBench, mode: str, way: str) -> None:
    for name in POLICIES:
        proxy.play(name, serve_ok)
    if way.endswith("http2"):  # ... which goes on where no protocol is declared
        proxy.play("any", h2_app(noting(proxy.services["any"][0])))
    told: Counter[int] = Counter()
    with contextlib.closing(Asking(proxy, way)) as asking:
        for case in cases():
            if not (way.startswith("plain") and case.service in (*BY_HOST, "any", "data")):
                told[asking.ask(case)] += 1
        for service, fields in streams() if way.endswith("http2") else ():
            told[asking.stream(service, fields)] += 1
        good = {case: asking.ask(case) for case in GOOD if not (way.startswith("plain") and case.service in BY_HOST)}
    assert set(good.values()) == {200}, good
    got = [(name, head) for name in POLICIES for head in proxy.services[name][0].heads]
    found = [f"{name}: {head.raw!r}: {wrong}" for name, head in got for wrong in wrongs(name, head, mode)]
    assert not found, "\n".join(found)
    assert told[403] > 40 and len(got) >= len(good), told


def test_nothing_gets_around_a_rule_as_a_websocket(proxy: HboneBench, mode: str) -> None:
    """Which the endpoints answer as if they had not been asked for one."""
    for name in POLICIES:
        proxy.play(name, serve_ok)
    told: Counter[int] = Counter()
    with contextlib.closing(Asking(proxy, "http2")) as asking:
        for case in cases():
            if case.service not in NAMED and case.method == "GET":
                told[asking.websocket(case)] += 1
        bad = [case for case in BAD if case.service not in NAMED and case.method == "GET"]
        assert [asking.websocket(case) for case in bad] == [403] * len(bad)
    got = [(name, head) for name in POLICIES for head in proxy.services[name][0].heads]
    found = [f"{name}: {head.raw!r}: {wrong}" for name, head in got for wrong in wrongs(name, head, mode)]
    assert not found, "\n".join(found)
    assert all(head["upgrade"] == "websocket" for _, head in got) and told[501] == len(got) > 40 and told[403] > 40, (
        told
    )


def test_the_address_of_an_endpoint_is_no_way_around_a_rule_by_port(proxy: HboneBench) -> None:
    endpoint = proxy.play("methods", serve_ok)
    made = policy("methods", {"to": [{"operation": {"ports": ["8000"]}}]}, action="DENY")
    with in_force(proxy, made):
        for authority in (proxy.authority("methods"), endpoint.address):
            with proxy.client(authority) as client:
                assert client.ask("any")[0].status == 403
    with proxy.client(endpoint.address) as client:
        assert client.ask("any")[0].status == 200
    made = policy("data", {"to": [{"operation": {"ports": ["8000"]}}]}, action="DENY")
    with in_force(proxy, made), pytest.raises(Refused):
        proxy.tunnel(proxy.services["data"][0].address)
