"""h2spec, strict, over each way that HTTP/2 comes in: a plain listener, a tunnel, the HBONE listener itself (P3)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hbone.identities import context
from tests.hbone.joined import Forwarder
from tests.integration import h2spec
from tests.integration.hbone_rig import HboneBench, Served, hbone_bench
from tests.integration.http_rig import answering
from tests.rig import wait_until

CASES = 146
LONG = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n" + b"x" * 20  # some cases count the octets of an answer

NO_PREFACE = "what is no preface of HTTP/2 is HTTP/1.1 to this port: it gets its 400, and the connection is closed"
NO_BODY = "looks at an answer's DATA: what is no CONNECT gets a status of us, without any"
LEFT_OUT: dict[str, dict[str, str]] = {
    "h2c": {"http2/3.5/2": NO_PREFACE},
    "tunnel": {"http2/3.5/2": NO_PREFACE},
    "hbone": {
        "generic/2/2": NO_BODY,
        "generic/2/3": NO_BODY,
        "http2/6.5.3/1": NO_BODY,
        "http2/6.9.1/1": NO_BODY,
        "http2/6.9.2/1": NO_BODY,
        "http2/6.9.2/2": NO_BODY,
    },
}
BY_CHANCE = {"hbone": {"http2/5.1.2/1": "NO_BODY, so that streams stay open only as long as nobody has looked at them"}}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h2spec.build(tmp_path_factory.mktemp("h2spec"))


@pytest.fixture(scope="module")
def proxy(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("proxy"), Served("web"), http=True) as running:
        local = Served("localhost", port=running.http, hbone=False)  # h2spec asks for whom it connects to
        running.served["localhost"], running.vips["localhost"] = local, ["10.96.0.9", "fd00:96::9"]
        running.put(local, running.services["web"])
        running.play("web", answering(LONG))
        wait_until(lambda: len(running.replica.info("/clusters")) == 2, 10, "it knows localhost")
        yield running


@contextlib.contextmanager
def reached(proxy: HboneBench, where: str) -> Iterator[tuple[str, int]]:
    """A host and a port that h2spec can connect to."""
    if where == "h2c":
        yield "localhost", proxy.http
    elif where == "tunnel":
        with Forwarder(lambda: proxy.tunnel("web")) as forwarder:
            yield "127.0.0.1", forwarder.port
    else:
        tls = context(proxy.mesh.client, proxy.mesh.ca.root, server=False)
        with h2spec.TlsForwarder(proxy.address, tls) as over_tls:
            yield "127.0.0.1", over_tls.port


@pytest.mark.parametrize("where", LEFT_OUT)
def test_P3_h2spec(program: Path, proxy: HboneBench, where: str) -> None:
    """Every case passes but those that do not fit the listener, which are named with the reason."""
    may_fail = {**LEFT_OUT[where], **BY_CHANCE.get(where, {})}
    with reached(proxy, where) as (host, port):
        cases = h2spec.run(program, host, port)
        again = [case.name for case in cases if case.said and case.name not in may_fail]
        failed = h2spec.run(program, host, port, *again, seconds=10) if again else []  # the machine may be busy
    assert len(cases) == CASES
    assert [(case.title, case.said) for case in failed if case.said] == []
    passed = {case.name for case in cases if not case.said}
    assert not passed & LEFT_OUT[where].keys(), "these pass now: leave them out no more"
