"""Peers that do not read hold nobody else's traffic (Z1): uploads that an app does not take, downloads that a client
does not, on connections they share with others. The stand-ins have a ztunnel's windows, 4 MiB and 16 MiB. Every other
one is read for a while first."""

import contextlib
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hbone_rig import (
    HboneBench,
    Served,
    TunnelClient,
    echo,
    h2_app,
    h2_client,
    h2_headers,
    hbone_bench,
)
from tests.integration.http_rig import Handler, Scripted
from tests.integration.stalled_rig import MIB, OTHERS, SERVED, STALLED, Stalled, app, h2_serve, play, served
from tests.rig import free_port, steady


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path, *SERVED) as running:
        play(running)
        yield running


@pytest.mark.parametrize("kind", ["upload", "download"])
@pytest.mark.parametrize("name", ["web", "plain", "grpc"])
def test_Z1_requests_that_stall_hold_no_other_of_their_client(proxy: HboneBench, kind: str, name: str) -> None:
    """All on one connection of the client's; nor those of another client to the same endpoint."""
    mine = proxy.ztunnel.connect()
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        theirs = ztunnel.connect()
        stalled = Stalled(proxy, name, lambda: mine)
        for count in STALLED:
            while len(stalled.clients) < count:
                stalled.begin(kind)
            steady(stalled.moved, 0.5, 30)
            for connection in (mine, theirs):
                assert served(proxy, name, connection) == [20_000] * OTHERS, f"with {count} stalled"
            assert served(proxy, "plain", mine) == [20_000] * OTHERS, f"another Service, with {count} stalled"


def beside(proxy: HboneBench, stack: contextlib.ExitStack, name: str, port: int, handler: Handler) -> None:
    """A Service of TCP or HTTP/2 on another port of the pod of `web`."""
    pod = proxy.services["web"][0]
    other = Scripted(pod.name, pod.ip, free_port(pod.ip))
    other.handler = handler
    other.start()
    stack.callback(other.stop)
    proxy.served[name], proxy.vips[name] = Served(name, port, name), [f"10.96.9.{port % 100}", f"fd00:96::{port}"]
    proxy.replica.serve(lambda: proxy.put(proxy.served[name], [other]))


def test_Z1_c_a_connection_to_a_pod_that_is_used_up_counts_as_full(proxy: HboneBench) -> None:
    """Uploads of two clients; a third's requests and TCP connections to the pod go over another one, also those for
    which there would be a tunnel on the first."""
    with contextlib.ExitStack() as stack:
        beside(proxy, stack, "tcp", 9001, echo)
        beside(proxy, stack, "http2", 9002, h2_app(h2_serve))
        door = proxy.destination(proxy.services["web"][0])
        first, second, third = (stack.enter_context(proxy.mesh.ztunnel(proxy.address)) for _ in range(3))
        for name in ("web", "http2"):
            assert served(proxy, name, third.pooled()) == [20_000] * OTHERS
        turns = itertools.cycle((first, second))
        stalled = Stalled(proxy, "web", lambda: next(turns).pooled())
        for _ in range(8):
            stalled.begin("upload")
        steady(stalled.moved, 0.5, 30)
        for name in ("web", "http2"):
            assert served(proxy, name, third.pooled()) == [20_000] * OTHERS
        with TunnelClient(third.tunnel(proxy.authority("tcp"))) as raw:
            raw.send(b"r" * 300_000)
            raw.finish()
            assert raw.rest() == b"r" * 300_000 + b"END"
        assert 2 <= len(door.alive()) <= 9
        before = len(door.alive())
        assert served(proxy, "web", third.pooled()) == [20_000] * OTHERS
        assert len(door.alive()) == before, "no more than are needed"


def test_Z1_b_a_client_whose_connection_is_used_up_is_told_to_open_another(proxy: HboneBench) -> None:
    """What it opens there all the same is served, and so is what has been there, however much it was sent before."""
    connection = proxy.ztunnel.pooled()
    old = proxy.client("web", over=connection)
    for _ in range(40):
        assert len(old.ask("any")[1]) == 20_000
    stalled = Stalled(proxy, "web", lambda: connection)
    for _ in range(4):
        stalled.begin("download")
    steady(stalled.moved, 1.2, 30)
    assert not connection.goaways
    assert len(old.ask("any")[1]) == 20_000
    assert served(proxy, "web", connection) == [20_000] * OTHERS
    assert connection.wait_until(lambda one: one.goaways)
    assert connection.goaways == [(0, (1 << 31) - 1)], "nothing is refused"
    assert served(proxy, "web", connection) == [20_000] * OTHERS
    assert proxy.ztunnel.pooled() is not connection
    assert proxy.ask("web") == ["b" * 20_000]


def test_Z1_streams_of_a_plain_http2_client_that_stall_hold_no_other(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, SERVED[1], http=True) as proxy:
        proxy.play("plain", app)
        with contextlib.closing(h2_client(socket.create_connection(("127.0.0.1", proxy.http)))) as client:
            for count in STALLED:
                while len(client.streams) < count:
                    client.request(h2_headers("/download", "plain"), end=True)
                steady(lambda: sum(stream.received for stream in client.streams.values()), 0.5, 30)
                others = [client.request(h2_headers("/", "plain"), end=True) for _ in range(OTHERS)]
                for other in others:
                    got = 0
                    while data := other.recv(MIB):
                        got += len(data)
                    assert got == 20_000
                    del client.streams[other.number]
