"""Time limits, draining, and what is left after many requests: no memory, no descriptor, no request in flight."""

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http_rig import OK, Bench, Peer, Wire, bench, memory_kib, outlier_rule, serve_ok, unique
from tests.patience import within
from tests.rig import wait_until

LIMITS = ("--request-headers-timeout", "1", "--idle-timeout", "2", "--stream-idle-timeout", "2")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    services = {"solo": 1, "other": 1, "dead": 2}
    with bench(tmp_path_factory.mktemp("limits"), *LIMITS, services=services, rules=[outlier_rule("solo")]) as running:
        for endpoint in running.services["dead"]:
            endpoint.stop()
        yield running


# -- time limits ------------------------------------------------------------------------------------------------------


def test_a_head_that_does_not_come(proxy: Bench) -> None:
    """Twice: the clock goes on after the first. A byte now and then gains nothing."""
    for drip in (False, True):
        with proxy.client() as client:
            client.send("GET / HTTP/1.1\r\nhost: so")
            with within(1.8, at_least=0.9):
                if drip:
                    for _ in range(6):
                        time.sleep(0.1)
                        client.send("l")
                head, body = client.answer()
                assert (head.status, body) == (408, b"request header timeout")
            assert client.ended()


def test_connections_without_a_request_are_closed(proxy: Bench) -> None:
    proxy.play("solo", serve_ok)
    with proxy.client() as fresh, proxy.client() as used:
        used.ask("solo")
        with within(2.8, at_least=1.5):
            for client in (fresh, used):
                assert client.ended()
                assert client.buffer == b""


def pausing(peer: Peer) -> None:
    """Sends and reads with pauses below the limit (`slow`), or stops after a byte (`stalled`)."""
    path = peer.head().first.split()[1]
    if "/body" in path:
        peer.exactly(6)
        peer.send(OK)
    elif "/answer" in path or "/early" in path:
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na")
        drip(peer, path)
    elif "/tunnel" in path:
        peer.send(b"HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: x\r\n\r\na")
        drip(peer, path)
    else:
        peer.more()


def drip(to: Wire, name: str) -> None:
    if "stalled" in name:
        to.more()
        return
    for _ in range(5):
        time.sleep(0.7)
        to.send(b"b")


REQUESTS = {
    "silent": "GET {} HTTP/1.1\r\nhost: solo\r\n\r\n",
    "body": "POST {} HTTP/1.1\r\nhost: solo\r\ncontent-length: 6\r\n\r\na",
    "answer": "GET {} HTTP/1.1\r\nhost: solo\r\n\r\n",
    "early": "POST {} HTTP/1.1\r\nhost: solo\r\ncontent-length: 6\r\n\r\na",
    "tunnel": "GET {} HTTP/1.1\r\nhost: solo\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
}


def outcome(client: Wire, name: str) -> tuple[int, bytes]:
    client.send(REQUESTS[name.partition("-")[0]].format(f"/{name}-limits-"))
    if name == "body-slow":
        drip(client, name)
    head = client.head()
    cut = head.status == 101 or name == "answer-stalled"
    return head.status, client.rest() if cut else client.body(head)


def test_whatever_moves_lives_and_whatever_stands_still_ends(proxy: Bench) -> None:
    """All at once, as each takes its time: stalled and slow bodies both ways, a silent endpoint, tunnels."""
    proxy.play("solo", pausing)
    results: dict[str, object] = {}

    def run(name: str) -> None:
        with proxy.client() as client:
            results[name] = outcome(client, name)

    names = ["silent", "body-stalled", "body-slow", "answer-stalled", "answer-slow", "early-slow"]
    names += ["tunnel-stalled", "tunnel-slow"]
    before = proxy.failures("solo")
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert results == {
        "silent": (504, b"stream timeout"),
        "body-stalled": (408, b"stream timeout"),
        "body-slow": (200, b"ok"),
        "answer-stalled": (200, b"a"),
        "answer-slow": (200, b"abbbbb"),
        "early-slow": (200, b"abbbbb"),  # no more of the request comes, as of a gRPC call that only listens
        "tunnel-stalled": (101, b"a"),
        "tunnel-slow": (101, b"abbbbb"),
    }
    for name in ("silent", "body-stalled", "answer-stalled"):
        line = proxy.line(f"/{name}-limits-")
        assert (line["flags"], line["details"]) == ("SI", "stream_idle_timeout"), name
    proxy.settled()
    assert proxy.failures("solo") == before, "others were answered meanwhile"


# -- nothing is left --------------------------------------------------------------------------------------------------


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def every_kind(proxy: Bench) -> None:
    """One request of each kind, on new connections and old ones."""
    with proxy.client() as client:
        for _ in range(4):
            assert client.ask("solo")[1] == b"ok"
            assert client.ask("solo", method="POST", body=b"x" * 100)[1] == b"ok"
            assert client.ask("nowhere")[0].status == 404
            assert client.ask("dead")[0].status == 503
            assert client.ask("solo", "/close")[1] == b"closed"
            assert client.ask("solo", "/nonsense")[0].status == 502
        client.send("POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        client.send("0\r\n\r\n")
        client.answer()
    with proxy.client() as client:
        client.request("solo", "/cut")
        client.rest()
    with proxy.client() as client:
        client.send("nonsense\r\n\r\n")
        client.answer()
    with proxy.client() as client:
        client.request("solo", "/hang")
        client.reset()
    with proxy.client() as client:
        client.send("POST / HTTP/1.1\r\nhost: solo\r\ncontent-length: 9\r\n\r\na")
    with proxy.client() as client:
        client.request("solo", "/tunnel", "connection: upgrade", "upgrade: x")
        client.head()
        client.send("ping")
        client.finish()
        assert client.rest() == b"ping"


def all_kinds(peer: Peer) -> None:
    while True:
        head, _ = peer.request()
        path = head.first.split()[1]
        if path == "/close":
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nclosed")
            return
        if path == "/nonsense":
            peer.send(b"nonsense\r\n\r\n")
        elif path == "/cut":
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na")
            return
        elif path == "/hang":
            peer.more()
        elif path == "/tunnel":
            peer.send(b"HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            peer.send(peer.rest())
            return
        else:
            peer.send(OK)


def test_nothing_is_left_of_many_requests(proxy: Bench) -> None:
    endpoint = proxy.play("solo", all_kinds)
    pid = proxy.worker_pid()

    def rounds(count: int) -> tuple[int, int]:
        for _ in range(count):
            every_kind(proxy)
        proxy.settled()
        endpoint.drop()
        wait_until(lambda: proxy.replica.info()["workers"][0]["connections"] == 0, 5, "no connection")
        return memory_kib(pid), descriptors(pid)

    rounds(30)
    memory, fds = rounds(5)
    later_memory, later_fds = rounds(60)
    assert later_fds <= fds
    assert later_memory - memory < 1000
    assert all(row["in_flight"] == 0 for name in proxy.services for row in proxy.row(name))


def test_idle_connections_hold_little(proxy: Bench) -> None:
    proxy.play("other", serve_ok)
    pid = proxy.worker_pid()
    clients = [proxy.client() for _ in range(300)]
    for client in clients:
        client.ask("other", "/", "x: " + "y" * 5000)
    before = memory_kib(pid)
    more = [proxy.client() for _ in range(300)]
    for client in more:
        client.ask("other", "/", "x: " + "y" * 5000)
    held = memory_kib(pid) - before
    for client in clients + more:
        client.close()
    assert held < 300 * 10, "KiB for 300 connections"


def test_running_out_of_descriptors_is_not_the_endpoints_fault(proxy: Bench) -> None:
    proxy.play("solo", serve_ok)
    pid = proxy.worker_pid()
    failures, limits, path = proxy.failures("solo"), resource.prlimit(pid, resource.RLIMIT_NOFILE), unique()
    with proxy.client() as client:
        client.ask("other")
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(used) + 1, limits[1]))
        try:
            fillers = [proxy.client() for _ in range(max(used) + 1 - len(used))]
            wait_until(lambda: descriptors(pid) == max(used) + 1, 2, "no descriptor left")
            assert client.ask("solo", path)[0].status == 503
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        for filler in fillers:
            filler.close()
        assert "Too_many_open_files" in proxy.line(path)["details"]
        assert client.ask("solo")[0].status == 200
    assert proxy.failures("solo") == failures


# -- draining ---------------------------------------------------------------------------------------------------------


def test_draining(tmp_path: Path) -> None:
    """Requests and tunnels are let finish, answers say close, idle connections end late, exit is clean."""
    there = threading.Event()

    def handler(peer: Peer) -> None:
        path = peer.head().first.split()[1]
        if path == "/tunnel":
            peer.send(b"HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            peer.send(peer.rest())
        else:
            there.set()
            time.sleep(0.6)
            peer.send(OK)

    with bench(tmp_path, services={"solo": 1}) as proxy:
        proxy.play("solo", handler)
        with proxy.client() as idle, proxy.client() as other, proxy.client() as busy, proxy.client() as tunnel:
            for client in (idle, other):
                assert client.ask("nowhere")[0].status == 404
            tunnel.request("solo", "/tunnel", "connection: upgrade", "upgrade: x")
            assert tunnel.head().status == 101
            busy.request("solo", unique())
            assert there.wait(5)
            proxy.waypoint.process.send_signal(signal.SIGTERM)
            head, body = busy.answer()
            assert (head.get("connection"), body) == ("close", b"ok")
            assert busy.ended()
            assert other.ask("nowhere")[0].get("connection") == "close"
            assert other.ended()
            assert idle.ended()
            tunnel.send("still here")
            tunnel.finish()
            assert tunnel.rest() == b"still here"
            assert proxy.waypoint.ended(5) == 0


def test_a_drain_ends_idle_connections_that_have_no_limit(tmp_path: Path) -> None:
    without = ("--idle-timeout", "0", "--drain-time")
    with bench(tmp_path / "a", *without, "1", services={"solo": 1}) as proxy, proxy.client() as idle:
        assert idle.ask("nowhere")[0].status == 404
        proxy.waypoint.process.send_signal(signal.SIGTERM)
        assert idle.ended()
        assert proxy.waypoint.ended(2) == 0
    with bench(tmp_path / "in_haste", *without, "60", services={"solo": 1}) as proxy, proxy.client() as idle:
        assert idle.ask("nowhere")[0].status == 404
        with within(3, "nobody at a terminal waits for the silent"):
            proxy.waypoint.process.send_signal(signal.SIGINT)
            assert idle.ended()
            assert proxy.waypoint.ended(3) == 0
