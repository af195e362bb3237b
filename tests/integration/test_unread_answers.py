"""What readers that do not read cost the kernel (P2): requests whose answers cannot go on are hardly begun."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from h2.settings import SettingCodes
from hpack import Encoder
from hyperframe.frame import HeadersFrame, SettingsFrame, WindowUpdateFrame

from tests.hbone.http2 import MAGIC, Connection
from tests.integration.hbone_rig import HboneBench, Served, h2_client, h2_headers, hbone_bench
from tests.integration.http_rig import Peer
from tests.rig import steady, wait_until

MIB = 1 << 20
STREAMS = 1000


def mebibyte(peer: Peer) -> None:
    while True:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % MIB)
        peer.send(b"m" * MIB)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path, Served("plain", hbone=False), http=True) as running:
        running.play("plain", mebibyte)
        yield running


def queued(proxy: HboneBench) -> int:
    """Bytes in the kernel's queues of all sockets of the endpoint and of the replica's listener."""
    endpoint = proxy.services["plain"][0]
    ends = {
        f"{socket.inet_aton(ip)[::-1].hex().upper()}:{port:04X}"
        for ip, port in ((endpoint.ip, endpoint.port), ("127.0.0.1", proxy.http))
    }
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if ends & {fields[1], fields[2]}:
            total += sum(int(size, 16) for size in fields[4].split(":"))
    return total


def counted(proxy: HboneBench) -> tuple[int, int]:
    (worker,) = proxy.replica.info()["workers"]
    return worker["unread_answers"], worker["waiting_requests"]


def silent(port: int, window: int) -> socket.socket:
    """A client with so much window on each of its streams, and requests for a MiB on all; it never gives more."""
    encoder = Encoder()
    frames = [SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: window}), WindowUpdateFrame(0, 1 << 30)]
    for stream in range(1, 2 * STREAMS, 2):
        frame = HeadersFrame(stream, encoder.encode(h2_headers("/", "plain")))
        frame.flags |= {"END_HEADERS", "END_STREAM"}
        frames.append(frame)
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(MAGIC + b"".join(frame.serialize() for frame in frames))
    return sock


def answered(client: Connection) -> int:
    stream = client.request(h2_headers("/", "plain"), end=True)
    got = 0
    while data := stream.recv(MIB):
        got += len(data)
    return got


@pytest.mark.parametrize("window", [0, 1, 16383])
def test_P2_three_thousand_streams_without_a_window_cost_the_kernel_little(proxy: HboneBench, window: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(silent(proxy.http, window))
        wait_until(lambda: proxy.services["plain"][0].heads)
        most = steady(lambda: queued(proxy), 0.5)
        assert len(proxy.services["plain"][0].heads) <= 6
        assert most < 16 * MIB
        wait_until(lambda: counted(proxy) == (6, 3 * STREAMS - 6), what="the admin page counts them")
        with contextlib.closing(h2_client(socket.create_connection(("127.0.0.1", proxy.http)))) as other:
            assert answered(other) == MIB, "and cost others nothing"


@pytest.mark.parametrize("window", [16384, 65535])
def test_P2_three_thousand_streams_with_a_small_window_cost_the_kernel_little_from_the_first_moment_on(
    proxy: HboneBench, window: int
) -> None:
    """What an endpoint on the same machine holds counts too."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(silent(proxy.http, window))
        wait_until(lambda: len(proxy.services["plain"][0].heads) > 60, 20)
        seen: list[int] = []
        steady(lambda: seen.append(queued(proxy)) or seen[-1], 1, 30)  # type: ignore[func-returns-value]
        assert 32 * MIB < max(seen) < 128 * MIB
        with contextlib.closing(h2_client(socket.create_connection(("127.0.0.1", proxy.http)))) as other:
            assert answered(other) == MIB


@pytest.mark.slow
def test_P2_answers_that_are_begun_and_not_read_are_bounded_for_all_clients_together(proxy: HboneBench) -> None:
    """Who has large windows mostly reads what comes: when such clients do not, the newest are given up."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(silent(proxy.http, 262144))
        wait_until(lambda: counted(proxy)[0] > 120, 20, what="more than are to be")
        wait_until(lambda: counted(proxy)[0] <= 102, 20)
        assert steady(lambda: queued(proxy), 0.5) < 128 * MIB
        assert proxy.told("stream_idle_timeout")
        with contextlib.closing(h2_client(socket.create_connection(("127.0.0.1", proxy.http)))) as other:
            assert answered(other) == MIB


def test_P2_tunnels_without_a_window_ask_endpoints_for_little(proxy: HboneBench) -> None:
    """The requests in them are served when their client has opened the window."""
    connection = proxy.ztunnel.connect()
    with connection.lock:
        connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        connection.flush()
    assert connection.ping() < 10
    clients = [proxy.client("plain", over=connection) for _ in range(10)]
    for client in clients:
        client.request("any")
    wait_until(lambda: len(proxy.services["plain"][0].heads) == 2)
    assert connection.ping() < 10
    assert len(proxy.services["plain"][0].heads) == 2
    with connection.lock:
        connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 4 << 20})
        connection.flush()
    assert [len(client.answer()[1]) for client in clients] == [MIB] * 10
