"""Workers and replicas that come and go under HBONE connections: GOAWAY, draining, even shares."""

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

from tests.hbone.http2 import Connection
from tests.hbone.identities import context
from tests.hbone.stream import Stream
from tests.hbone.ztunnel import Ztunnel
from tests.integration.hbone_rig import HboneBench, Served, TunnelClient, echo, hbone_bench, serve_name
from tests.integration.http_rig import Peer
from tests.patience import within
from tests.rig import wait_until

PLAIN = Served("plain", hbone=False)
RAW = Served("raw", port=9000, port_name="tcp")


# -- draining ---------------------------------------------------------------------------------------------------------


def test_sigterm_with_fifty_open_tunnels(tmp_path: Path) -> None:
    """GOAWAY at once, streams finish, exit 0 within the drain time; new streams go elsewhere."""
    release = threading.Event()

    def slow(peer: Peer) -> None:
        peer.request()
        release.wait(5)
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow")

    with (
        hbone_bench(tmp_path / "a", PLAIN, RAW, args=("--drain-time", "15")) as going,
        hbone_bench(tmp_path / "b", Served("web", hbone=False)) as staying,
    ):
        going.play("plain", slow)
        going.play("raw", echo)
        staying.play("web", serve_name)
        roots = going.mesh.ca.root + staying.mesh.ca.root
        ztunnel = Ztunnel([going.address, staying.address], going.mesh.client, roots)
        # one CA would do, had the benches not one each: the second replica must accept the first one's client
        staying.mesh.renew(roots=roots)
        wait_until(lambda: accepted(staying, going), 8, "both roots are known")
        clients = [TunnelClient(ztunnel.tunnel(going.authority("plain"))) for _ in range(40)]
        raw = [TunnelClient(ztunnel.tunnel(going.authority("raw"))) for _ in range(10)]
        assert len(ztunnel.connections) == 1
        for client in clients:
            client.request("any")
        wait_until(lambda: len(going.services["plain"][0].heads) == 40, 3, "all asked")
        with within(8, "when the last stream has ended, not at the end of the drain time"):
            os.kill(going.waypoint.pid, signal.SIGTERM)
            connection = ztunnel.connections[0]
            assert connection.wait_until(lambda one: one.goaways, 1), "GOAWAY at once"
            assert connection.goaways[0] == (0, 2**31 - 1), "none that is on its way is lost"
            with TunnelClient(ztunnel.tunnel(staying.authority("web"))) as client:
                assert client.ask("any")[1] == b"web-1", "elsewhere"
            assert len(ztunnel.connections) == 2
            for client in raw:
                client.send(b"still")
                assert client.exactly(5) == b"still"
                client.finish()
                assert client.rest() == b"END"
            release.set()
            assert [client.answer()[1] for client in clients] == [b"slow"] * 40
            for client in clients:
                client.close()
            assert going.waypoint.ended(10) == 0
        assert connection.closed
        ztunnel.close()


def accepted(proxy: HboneBench, other: HboneBench) -> bool:
    with proxy.mesh.ztunnel(proxy.address, leaf=other.mesh.client) as stranger, contextlib.suppress(OSError):
        return stranger.tunnel(proxy.authority("web")).status == 200
    return False


def test_draining_ends_what_does_not_end_itself(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, RAW) as proxy:
        proxy.play("raw", echo)
        stream = proxy.tunnel("raw")
        with within(6, "the drain time is 3 s", at_least=2):
            os.kill(proxy.waypoint.pid, signal.SIGTERM)
            assert proxy.waypoint.ended(8) == 0
        with contextlib.suppress(ConnectionResetError):
            assert stream.recv(1) == b""


def test_draining_does_not_wait_for_tunnels_between_two_requests(tmp_path: Path) -> None:
    """Long before their idle time, and before the drain time is over."""
    with hbone_bench(tmp_path, Served("web"), PLAIN, args=("--drain-time", "4")) as proxy:
        clients = []
        for name in ("web", "plain"):
            proxy.play(name, serve_name)
            clients.append(proxy.client(name))
            assert clients[-1].ask("any")[0].status == 200
        clients.append(proxy.client("web"))  # and one that has asked for nothing yet
        os.kill(proxy.waypoint.pid, signal.SIGTERM)
        assert proxy.waypoint.ended(14) == 0
        assert "did not finish" not in proxy.waypoint.errors()
        for client in clients:
            assert client.ended()


# -- workers ----------------------------------------------------------------------------------------------------------


def loads(proxy: HboneBench) -> list[int]:
    return sorted(worker["connections"] for worker in proxy.replica.info()["workers"])


def test_eight_connections_are_two_on_each_of_four_workers(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, PLAIN, workers=4) as proxy:
        proxy.play("plain", serve_name)

        def opened(count: int) -> list[Ztunnel]:
            made = [proxy.mesh.ztunnel(proxy.address) for _ in range(count)]
            for ztunnel in made:
                ask(ztunnel.tunnel(proxy.authority("plain")))
            return made

        def ask(stream: Stream) -> None:
            assert TunnelClient(stream).ask("any")[1] == b"plain-1"

        first = opened(8)
        assert loads(proxy) == [2, 2, 2, 2]
        victim = proxy.replica.worker_pids()[1]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in proxy.replica.worker_pids() and proxy.replica.ready(), 8, "a new worker")
        lost = [connection for ztunnel in first for connection in ztunnel.connections if connection.closed]
        assert len(lost) == 2
        assert loads(proxy) == [0, 2, 2, 2]
        second = opened(2)
        assert loads(proxy) == [2, 2, 2, 2]
        for ztunnel in first + second:
            ztunnel.close()


def test_more_and_fewer_workers_under_load(tmp_path: Path) -> None:
    """A worker on its way out says GOAWAY; ztunnels go elsewhere, and no request is lost."""
    with hbone_bench(tmp_path, PLAIN, Served("web"), workers=2) as proxy:
        proxy.play("plain", serve_name)
        proxy.play("web", serve_name)
        answers: list[str] = []
        stop = threading.Event()

        def load(name: str) -> None:
            with proxy.mesh.ztunnel(proxy.address) as ztunnel:
                try:
                    while not stop.is_set():
                        with TunnelClient(ztunnel.tunnel(proxy.authority(name))) as client:
                            answers.append(client.ask("any")[1].decode())
                            with contextlib.suppress(BrokenPipeError):  # ended between two requests: it cannot be asked
                                for _ in range(2):
                                    answers.append(client.ask("any")[1].decode())
                except (OSError, EOFError) as error:
                    answers.append(repr(error))

        threads = [threading.Thread(target=load, args=(name,)) for name in ("plain", "web") * 2]
        for thread in threads:
            thread.start()
        for expected in (3, 2, 1, 2):
            more = len(proxy.replica.worker_pids()) < expected
            os.kill(proxy.waypoint.pid, signal.SIGTTIN if more else signal.SIGTTOU)
            wait_until(
                lambda n=expected: len(proxy.replica.worker_pids()) == n and proxy.replica.ready(), 10, str(expected)
            )
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {"plain-1", "web-1"}
    assert len(answers) > 50


def test_a_connection_that_shakes_hands_during_the_drain_does_not_hold_it_up(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, Served("web")) as proxy:
        sock = socket.create_connection(proxy.address)
        wait_until(lambda: sum(each["connections"] for each in proxy.replica.info()["workers"]), 3, "it is accepted")
        pid = proxy.replica.info()["workers"][0]["pid"]
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.6)
        settings, window = {2: 0}, 1 << 24
        tls = context(proxy.mesh.client, proxy.mesh.ca.root, server=False)
        late = Connection(sock, tls, server=False, settings=settings, window=window)
        assert late.wait_until(lambda one: one.closed, 3) and late.goaways
        late.close()
