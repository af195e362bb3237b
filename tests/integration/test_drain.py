"""Going away as the mesh expects: a replica that is told to go serves on until everybody knows, and says goodbye."""

import contextlib
import http.client
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hbone_rig import Served, TunnelClient, hbone_bench, serve_name
from tests.integration.http_rig import bench
from tests.patience import within
from tests.rig import Background, Endpoint, Replica, Waypoint, endpoints, free_port, manifests_for, replica, wait_until

WEB = Served("web", hbone=False)
DRAINING = (503, "not ready: draining\n")


# -- a rolling restart ------------------------------------------------------------------------------------------------


class Known:
    """What the control plane has told clients: the replicas there are."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports

    def connection(self) -> http.client.HTTPConnection:
        """To one of them, as a ztunnel picks: without another try."""
        return http.client.HTTPConnection("127.0.0.1", random.choice(self.ports), timeout=10)


class Clients(Background):
    """Some that open a connection for each request, some that keep theirs and never look whether it has ended."""

    def __init__(self, known: Known, fresh: int, keeping: int) -> None:
        super().__init__(*[self._fresh] * fresh, *[self._keeping] * keeping)
        self.new: list[str] = []
        self.kept: list[str] = []
        self._known = known

    def _fresh(self) -> None:
        while not self.stopping.wait(0.02):
            with contextlib.closing(self._known.connection()) as connection:
                self.new.append(ask(connection))

    def _keeping(self) -> None:
        connection = self._known.connection()
        while not self.stopping.wait(0.2):
            if connection.sock is None:  # it was told to close it
                connection = self._known.connection()
                self.new.append(ask(connection))
            else:
                self.kept.append(ask(connection))
        connection.close()


def ask(connection: http.client.HTTPConnection) -> str:
    """The status, or why there is none."""
    try:
        connection.request("GET", "/hostname", headers={"host": "in-ambient"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return repr(error)
    return str(response.status)


@contextlib.contextmanager
def two(tmp_path: Path, *arguments: str) -> Iterator[list[Replica]]:
    with contextlib.ExitStack() as stack:
        members: list[Endpoint] = stack.enter_context(endpoints())
        made = []
        for name in ("a", "b"):
            manifests, port = stack.enter_context(manifests_for(members))
            made.append(stack.enter_context(replica(tmp_path / name, manifests, port, *arguments, name=name)))
        yield made


@pytest.mark.parametrize(
    ("delay", "new", "kept"), [("1", 150, 50), pytest.param("5", 1000, 500, marks=pytest.mark.slow)]
)
def test_Z2_Z3_a_rolling_restart_loses_no_request(tmp_path: Path, delay: str, new: int, kept: int) -> None:
    """Without a preStop, though clients learn 0.3 s late who is gone."""
    with two(tmp_path, "--drain-delay", delay) as replicas:
        known = Known([each.port for each in replicas])
        with Clients(known, fresh=3, keeping=10) as clients:
            for index, going in enumerate(replicas):
                asked, kept_before = len(clients.new), len(clients.kept)
                going.waypoint.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)  # the control plane's delay is what this is about
                known.ports = [replicas[1 - index].port]
                assert going.waypoint.ended(20) == 0
                going.waypoint.start()
                wait_until(going.ready, 15, "it is back")
                known.ports = [each.port for each in replicas]
                wait_until(lambda n=asked: len(clients.new) >= n + new / 2, 60, "enough on new connections")
                wait_until(lambda n=kept_before: len(clients.kept) >= n + kept / 2, 60, "enough on kept ones")
        print(f"new: {len(clients.new)}, kept: {len(clients.kept)}")
        assert set(clients.new) == {"200"}
        assert set(clients.kept) == {"200"}
        assert len(clients.new) >= new and len(clients.kept) >= kept


# -- one replica ------------------------------------------------------------------------------------------------------


def test_Z2_not_ready_at_once_and_still_serving_until_the_delay_is_over(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, WEB, args=("--drain-delay", "2")) as proxy:
        proxy.play("web", serve_name)
        kept = proxy.mesh.ztunnel(proxy.address)
        with TunnelClient(kept.tunnel(proxy.authority("web"))) as client:
            assert client.ask("any")[1] == b"web-1"
        with within(6, "the delay is 2 s", at_least=2):
            proxy.waypoint.process.send_signal(signal.SIGTERM)
            wait_until(lambda: proxy.replica.readiness() == DRAINING, 1)
            fresh = proxy.mesh.ztunnel(proxy.address)
            for ztunnel in (kept, fresh):
                with TunnelClient(ztunnel.tunnel(proxy.authority("web"))) as client:
                    head, body = client.ask("any")
                    assert (head.get("connection"), body) == ("close", b"web-1")
            assert [each.goaways for ztunnel in (kept, fresh) for each in ztunnel.connections] == [[], []]
            assert proxy.waypoint.process.poll() is None
            for ztunnel in (kept, fresh):
                assert ztunnel.connections[0].wait_until(lambda one: one.goaways, 5)
                assert ztunnel.connections[0].goaways[0] == (0, 2**31 - 1)
            assert proxy.waypoint.ended(5) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(proxy.address)
        for ztunnel in (kept, fresh):
            ztunnel.close()


def test_Z2_a_worker_that_dies_in_the_delay_is_replaced(tmp_path: Path) -> None:
    """What is in force goes on to be: workers, and changes of the manifests."""
    with bench(tmp_path, "--drain-delay", "60", services={"solo": 1}) as proxy:
        proxy.waypoint.process.send_signal(signal.SIGTERM)
        wait_until(lambda: proxy.replica.readiness() == DRAINING, 1)
        (pid,) = proxy.replica.worker_pids()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: proxy.replica.worker_pids() not in ([], [pid]), 3)
        with proxy.client() as client:
            assert client.ask("solo")[0].status == 200
        proxy.waypoint.process.send_signal(signal.SIGTERM)
        assert proxy.waypoint.ended(2) == 0
    assert "SIGTERM again: ending at once" in proxy.waypoint.errors()


def test_Z2_int_and_who_has_no_listener_do_not_wait(tmp_path: Path) -> None:
    with bench(tmp_path / "a", "--drain-delay", "60", services={"solo": 1}) as proxy:
        proxy.waypoint.process.send_signal(signal.SIGINT)
        assert proxy.waypoint.ended(5) == 0
    assert "SIGINT: draining, 3 s at most" in proxy.waypoint.errors()
    (tmp_path / "none").mkdir()
    status, pages = free_port(), ("--admin", "127.0.0.1:0", "--bind", "127.0.0.1", "--drain-delay", "60")
    empty = Waypoint(tmp_path, "-w", "1", "--manifests", "none", "--status", f"127.0.0.1:{status}", *pages)
    empty.start()
    wait_until(lambda: Replica(empty, 0, status, 0).readiness()[0] == 503, 10, "it says that it has no Gateway")
    empty.process.send_signal(signal.SIGTERM)
    assert empty.ended(5) == 0


def test_Z3_kept_connections_are_told_with_their_next_answer(tmp_path: Path) -> None:
    """Before the delay is over, and after it: answers of endpoints and ours. The silent are ended last."""
    args = ("--drain-delay", "1", "--drain-time", "4")
    with (
        bench(tmp_path, *args, services={"solo": 1}) as proxy,
        proxy.client() as first,
        proxy.client() as ours,
        proxy.client() as late,
        proxy.client() as silent,
    ):
        for client in (first, ours, late, silent):
            assert "connection" not in client.ask("solo")[0]
        proxy.waypoint.process.send_signal(signal.SIGTERM)
        wait_until(lambda: proxy.replica.readiness() == DRAINING, 1)
        for client, service, status in ((first, "solo", 200), (ours, "nowhere", 404)):
            head, _ = client.ask(service)
            assert (head.status, head.get("connection")) == (status, "close")
            assert client.ended()
        wait_until(lambda: not connectable(proxy.replica.port), 3, "the delay is over")
        time.sleep(0.5)  # longer than the first request of a connection is waited for
        head, _ = late.ask("solo")
        assert (head.status, head.get("connection")) == (200, "close")
        assert late.ended()
        assert proxy.waypoint.process.poll() is None, "the silent one is waited for"
        assert silent.ended()
        assert proxy.waypoint.ended(3) == 0
    assert "did not finish" not in proxy.waypoint.errors()


def test_Z3_a_worker_less_says_goodbye_too(tmp_path: Path) -> None:
    """The other one serves the same sockets: no delay, but nobody is cut."""
    with bench(tmp_path, "--drain-time", "4", "-w", "2", services={"solo": 1}) as proxy:
        clients = [proxy.client() for _ in range(4)]
        for client in clients:
            assert "connection" not in client.ask("solo")[0]
        proxy.waypoint.process.send_signal(signal.SIGTTOU)
        wait_until(lambda: any(each["state"] == "draining" for each in proxy.replica.info()["workers"]), 2)
        time.sleep(0.5)  # longer than the first request of a connection is waited for
        told = [client.ask("solo")[0].get("connection") for client in clients]
        assert sorted(told, key=str) == [None, None, "close", "close"]
        wait_until(lambda: len(proxy.replica.worker_pids()) == 1 and proxy.replica.ready(), 3)
        for client in clients:
            client.close()


def connectable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
