"""A rolling restart of two replicas in the mesh: ztunnels that pool connections learn late who is gone; no app notices.

Z2, Z3. As `test_drain.py` has it for plain connections.
"""

import contextlib
import dataclasses
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hbone.http2 import Connection
from tests.hbone.joined import Forwarder
from tests.hbone.stream import Stream
from tests.hbone.ztunnel import Refused, Ztunnel
from tests.integration.grpc_rig import RpcError, Stub, served
from tests.integration.hbone_rig import (
    HboneBench,
    Served,
    TunnelClient,
    h2_client,
    h2_headers,
    hbone_bench,
    serve_name,
)
from tests.manifests import Manifests, gateway, namespace
from tests.rig import Background, Replica, free_port, replica, wait_until

WEB, CALLS = Served("web"), Served("calls", port=5000, port_name="grpc")
LATE_S = 0.3  # after TERM, until the control plane has told the ztunnels


class Known:
    """The replicas that a node's ztunnel has been told of. It picks one for each connection of an app, takes the pooled
    connection to that one, and tries no other."""

    def __init__(self, ztunnels: list[Ztunnel]) -> None:
        self.ztunnels = ztunnels

    def tunnel(self, authority: str) -> Stream:
        return random.choice(self.ztunnels).tunnel(authority)


class Apps(Background):
    """Apps in client pods, and what became of their requests: the first one of each connection, and later ones of those
    that they keep. Nobody looks whether a connection has ended before the next request goes out."""

    def __init__(self, known: Known, web: str, calls: int) -> None:
        super().__init__(*[self._fresh] * 3, *[self._keep] * 5, *[self._keep_http2] * 5, self._call)
        self.new: list[str] = []
        self.kept: list[str] = []
        self.kept_http2: list[str] = []
        self.called: list[str] = []
        self._known, self._web, self._calls = known, web, calls

    def _fresh(self) -> None:
        while not self.stopping.wait(0.02):
            with contextlib.closing(App(self._known, self._web)) as app:
                self.new.append(outcome(app.ask))

    def _keep(self) -> None:
        app = None
        while not self.stopping.wait(0.2):
            told = self.kept if app else self.new
            app = app or App(self._known, self._web)
            told.append(outcome(app.ask))
            if app.over or told[-1] != "200":
                app.close()
                app = None

    def _keep_http2(self) -> None:
        app = None
        while not self.stopping.wait(0.2):
            if app and app.connection and app.connection.goaways:
                app.close()
                app = None
            told = self.kept_http2 if app else self.new
            app = app or App(self._known, self._web)
            told.append(outcome(app.ask_http2))

    def _call(self) -> None:
        """One gRPC channel."""
        stub = Stub(self._calls)
        while not self.stopping.wait(0.03):
            self.called.append(outcome(lambda: stub.unary(b"200", timeout=20).decode()))
        stub.channel.close()


class App:
    """A connection of an app, tunnelled when it is first used."""

    def __init__(self, known: Known, authority: str) -> None:
        self._known, self._authority = known, authority
        self._client: TunnelClient | None = None
        self.connection: Connection | None = None
        self.over = False  # it was told to close it

    def ask(self) -> str:
        if self._client is None:
            self._client = TunnelClient(self._known.tunnel(self._authority))
        head, _ = self._client.ask("any")
        self.over = head.get("connection") == "close"
        return str(head.status)

    def ask_http2(self) -> str:
        if self.connection is None:
            self.connection = h2_client(self._known.tunnel(self._authority))
        stream = self.connection.request(h2_headers("/"), end=True)
        status = stream.answered()[":status"]
        while stream.recv(65536):
            pass
        return status

    def close(self) -> None:
        for each in (self._client, self.connection):
            if each:
                with contextlib.suppress(OSError):
                    each.close()


def outcome(ask: Callable[[], str]) -> str:
    """The status, or why there is none."""
    try:
        return ask()
    except (OSError, EOFError, Refused, RpcError) as error:
        return repr(error)


@contextlib.contextmanager
def two(tmp_path: Path, *arguments: str) -> Iterator[tuple[HboneBench, list[Replica]]]:
    """Two replicas with the same endpoints."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(hbone_bench(tmp_path / "a", WEB, CALLS, args=arguments))
        manifests, port = Manifests(Path(stack.enter_context(tempfile.TemporaryDirectory()))), free_port()
        manifests.put("namespace", namespace())
        manifests.put("gateway", gateway(hbone=port))
        for each in (WEB, CALLS):
            dataclasses.replace(first, manifests=manifests).put(each, first.services[each.name])
        options = ("--tls-dir", str(first.mesh.directory), *arguments)
        yield first, [first.replica, stack.enter_context(replica(tmp_path / "b", manifests, port, *options, name="b"))]


@pytest.mark.parametrize(
    ("delay", "new", "kept"), [("1", 150, 50), pytest.param("5", 1000, 500, marks=pytest.mark.slow)]
)
def test_Z2_Z3_a_rolling_restart_in_the_mesh_loses_no_request(tmp_path: Path, delay: str, new: int, kept: int) -> None:
    """HTTP/1.1, HTTP/2 and gRPC in tunnels, without a preStop."""
    with contextlib.ExitStack() as stack:
        mesh, replicas = stack.enter_context(two(tmp_path, "--drain-delay", delay, "--drain-time", "10"))
        mesh.play("web", serve_name)
        stack.enter_context(served(mesh.services["calls"][0]))
        ztunnels = [stack.enter_context(mesh.mesh.ztunnel(("127.0.0.1", each.port))) for each in replicas]
        known = Known(ztunnels)
        calls = stack.enter_context(Forwarder(lambda: known.tunnel(mesh.authority("calls"))))
        with Apps(known, mesh.authority("web"), calls.port) as apps:
            wanted = ((apps.new, new), (apps.kept, kept), (apps.kept_http2, kept))
            for index, going in enumerate(replicas):
                due = [(outcomes, len(outcomes) + count / 2) for outcomes, count in wanted]
                going.waypoint.process.send_signal(signal.SIGTERM)
                time.sleep(LATE_S)  # the control plane's delay is what this is about
                known.ztunnels = [ztunnels[1 - index]]
                assert going.waypoint.ended(30) == 0
                going.waypoint.start()
                wait_until(going.ready, 15, "it is back")
                known.ztunnels = ztunnels
                for outcomes, count in due:
                    wait_until(lambda outcomes=outcomes, n=count: len(outcomes) >= n, 90, "enough requests")
        told = {"new": apps.new, "kept": apps.kept, "kept HTTP/2": apps.kept_http2, "gRPC": apps.called}
        print({name: len(outcomes) for name, outcomes in told.items()})
        assert {name: set(outcomes) for name, outcomes in told.items()} == {name: {"200"} for name in told}
        assert calls.opened > 1 and calls.failed == []
