"""How long connections to endpoints last: the rows of table 1.3 of the reference that say so."""

import contextlib
import ctypes
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.stream import Stream
from tests.integration.captured import captured, h2_app, h2_name
from tests.integration.hbone_rig import TCP_LINE, Served, echo, fields, hbone_bench
from tests.integration.http_rig import Scripted, unique
from tests.integration.limited import Limited, limited, rule
from tests.rig import wait_until

PIDFD_GETFD = 438


def asked(made: Limited, count: int) -> None:
    with made.client() as client:
        assert [client.ask("in-ambient", unique())[0].status for _ in range(count)] == [200] * count


# -- HTTP/1.1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pool",
    [
        {"http": {"idleTimeout": "0.3s"}},
        {"tcp": {"idleTimeout": "0.3s"}},
        {"http": {"idleTimeout": "0.3s"}, "tcp": {"idleTimeout": "1h"}},
        {"tcp": {"maxConnectionDuration": "0.3s"}},
    ],
    ids=["1.3 http.idleTimeout", "1.3 tcp.idleTimeout", "1.3 http before tcp", "1.3 maxConnectionDuration"],
)
def test_a_connection_that_waits_too_long_is_closed(pool: dict[str, Any], tmp_path: Path) -> None:
    with limited(tmp_path, pool) as made:
        asked(made, 3)
        assert made.endpoints.accepted == 1
        wait_until(lambda: not made.endpoints.connections, 10, "it is closed")
        asked(made, 1)
        assert made.endpoints.accepted == 2
        assert made.cluster()["counters"]["idle"] <= 1


def test_1_3_tcp_idleTimeout_0s_is_never(tmp_path: Path) -> None:
    with limited(tmp_path, {"tcp": {"idleTimeout": "0s"}}) as made:
        asked(made, 1)
        time.sleep(0.6)
        asked(made, 1)
        assert made.endpoints.accepted == 1


def test_1_3_maxConnectionDuration_cuts_no_request(tmp_path: Path) -> None:
    with limited(tmp_path, {"tcp": {"maxConnectionDuration": "0.2s"}}) as made:
        made.endpoints.delay = 0.8
        asked(made, 1)
        wait_until(lambda: not made.endpoints.connections, 10, "it is closed afterwards")


@pytest.mark.parametrize(("most", "connections"), [(1, 6), (3, 2), (4, 2)])
def test_1_3_maxRequestsPerConnection(most: int, connections: int, tmp_path: Path) -> None:
    with limited(tmp_path, {"http": {"maxRequestsPerConnection": most}}) as made:
        asked(made, 6)
        assert made.endpoints.accepted == connections


def test_1_3_tcpKeepalive(tmp_path: Path) -> None:
    asked_for = {"probes": 5, "time": "77s", "interval": "11s"}
    with limited(tmp_path, {"tcp": {"tcpKeepalive": asked_for}}) as made:
        asked(made, 1)
        with _socket_to(made.replica.worker_pids()[0], made.endpoints.port) as theirs:
            options = (socket.TCP_KEEPCNT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
            assert [theirs.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [5, 77, 11]
            assert theirs.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def _socket_to(pid: int, port: int) -> socket.socket:
    """The socket of a process of ours that is connected to that port (pidfd_getfd(2))."""
    libc, process = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if link.is_symlink() and os.readlink(link).startswith("socket:"):
            fd = libc.syscall(PIDFD_GETFD, process, int(link.name), 0)
            assert fd >= 0, os.strerror(ctypes.get_errno())
            found = socket.socket(fileno=fd)
            with contextlib.suppress(OSError):
                if found.family == socket.AF_INET and found.getpeername()[1] == port:
                    os.close(process)
                    return found
            found.close()
    raise AssertionError("no such connection")


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def slow(stream: Stream, endpoint: Scripted) -> None:
    time.sleep(0.3)
    h2_name(stream, endpoint)


def test_1_3_maxConcurrentStreams(tmp_path: Path) -> None:
    pool = {"maxConcurrentStreams": 2}
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(slow), pool=pool) as one:
        with ThreadPoolExecutor(6) as clients:
            assert list(clients.map(lambda _: one.ask(), range(6))) == ["web-0"] * 6
        assert [len(each.streams) for each in one.members[0].connections] == [2, 2, 2]


def test_1_3_maxRequestsPerConnection_of_HTTP_2(tmp_path: Path) -> None:
    pool = {"maxRequestsPerConnection": 2}
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(h2_name), pool=pool) as one:
        assert [one.ask() for _ in range(5)] == ["web-0"] * 5
        assert [len(each.streams) for each in one.members[0].connections] == [2, 2, 1]
        wait_until(lambda: [each.closed for each in one.members[0].connections] == [True, True, False], 10, "they end")


@pytest.mark.parametrize("answers", [True, False])
def test_1_3_http2KeepAlive(answers: bool, tmp_path: Path) -> None:
    pool = {"http2KeepAlive": {"interval": "0.3s", "timeout": "0.3s"}}
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(h2_name), pool=pool) as one:
        assert one.ask() == "web-0"
        (connection,) = one.members[0].connections
        wait_until(lambda: len(connection.pings) > 1, 10, "it is asked whether it is there")
        assert not connection.closed
        if answers:
            wait_until(lambda: len(connection.pings) > 3, 10, "it stays")
        else:
            connection.reads.clear()
            wait_until(lambda: one.replica.info("/clusters")[0]["held"]["connections"] == 0, 10, "it is given up")


def test_4_streams_wait_where_connections_are_limited(tmp_path: Path) -> None:
    """One connection with two streams; the others wait for one to end."""
    pool, tcp = {"maxConcurrentStreams": 2}, {"maxConnections": 1}
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(slow), pool=pool, tcp=tcp) as one:
        with ThreadPoolExecutor(6) as clients:
            assert list(clients.map(lambda _: one.ask(), range(6))) == ["web-0"] * 6
        assert [len(each.streams) for each in one.members[0].connections] == [6]
        assert one.replica.info("/clusters")[0]["held"]["pending"] == 0


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_bytes(tmp_path: Path) -> None:
    served = [
        Served(name, port=9000, port_name="tcp", hbone=False, rule=named(name, pool))
        for name, pool in (
            ("lasting", {"maxConnectionDuration": "0.5s"}),
            ("idle", {"idleTimeout": "0.5s"}),
            ("one", {"maxConnections": 1}),
        )
    ]
    with hbone_bench(tmp_path, *served) as bench:
        for name, flags in (("lasting", "DT"), ("idle", "-")):
            bench.play(name, echo)
            with bench.client(name) as client:
                client.send(b"a")
                assert client.exactly(1) == b"a"
                client.ended()
            assert _line(bench, name)["flags"] == flags, f"1.3 {name}"
        bench.play("one", echo)
        with bench.client("one") as client, bench.client("one") as other:
            client.send(b"a")
            assert client.exactly(1) == b"a"
            with contextlib.suppress(BrokenPipeError):
                other.send(b"b")
                assert other.ended()
            assert _line(bench, "one")["flags"] == "UO", "4 maxConnections: bytes do not wait"
            client.send(b"c")
            assert client.exactly(1) == b"c"


def named(name: str, tcp: dict[str, Any]) -> dict[str, Any]:
    made = rule({"connectionPool": {"tcp": tcp}})
    made["metadata"]["name"] = made["spec"]["host"] = name
    return made


def _line(bench: Any, name: str) -> dict[str, str]:
    lines = wait_until(lambda: bench.waypoint.lines(f"|{bench.host(name)} "), 5, "its line")
    return fields(TCP_LINE, lines[-1])
