"""Endpoints behind ztunnels: how they are reached over HBONE, and what it is called when they are not."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from h2.errors import ErrorCodes

from tests.hbone.destination import Destination
from tests.hbone.identities import Authority
from tests.hbone.stream import Stream
from tests.integration.captured import CA, WAYPOINT, Captured, captured
from tests.integration.http_rig import Client, Handler, Peer, memory_kib, unique
from tests.patience import within
from tests.rig import wait_until


def in_parallel(one: Captured, count: int) -> list[str]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: one.ask(), range(count)))


def slow_name(seconds: float = 0.3) -> Handler:
    def handler(peer: Peer) -> None:
        while True:
            peer.request()
            time.sleep(seconds)
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    return handler


# -- reached ----------------------------------------------------------------------------------------------------------


def test_a_connect_says_where_to_and_for_whom(tmp_path: Path) -> None:
    with captured(tmp_path, 1) as one:
        path = unique()
        with Client(one.replica.port) as client:
            assert client.ask("web", path)[1] == b"web-0"
            local = client.sock.getsockname()
        (asked,) = one.doors[0].connects
        assert asked.headers == {
            ":method": "CONNECT",
            ":authority": one.members[0].address,
            "forwarded": f'for="{local[0]}:{local[1]}";host=web.httpbin.svc.cluster.local',
        }
        assert asked.identity == f"spiffe://cluster.local/ns/httpbin/sa/{WAYPOINT}"
        line = one.line(path)
        peer = one.connections()[0].sock.getpeername()
        assert (line["host"], line["local"]) == (one.members[0].address, f"{peer[0]}:{peer[1]}")


def test_requests_reuse_a_tunnel_and_a_closed_one_is_replaced(tmp_path: Path) -> None:
    with captured(tmp_path, 1) as one:
        assert one.asked(5) == ["web-0"] * 5
        assert len(one.doors[0].connects) == 1
        one.members[0].drop()
        path = unique()
        assert one.ask(path) == "web-0"
        assert one.line(path)["flags"] == "-"
        assert (len(one.doors[0].connects), len(one.connections())) == (2, 1)
        assert one.row(one.members[0])["failed"] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_many_requests_at_once_share_a_connection_of_each_worker(tmp_path: Path, workers: int) -> None:
    with captured(tmp_path, 1, workers=workers, handler=slow_name()) as one:
        assert in_parallel(one, 40) == ["ok"] * 40
        assert len(one.connections()) == workers
        assert len(one.doors[0].connects) == 40


def test_a_second_connection_is_made_when_the_peer_takes_no_more_streams(tmp_path: Path) -> None:
    with captured(tmp_path, 1, handler=slow_name(), settings={3: 4}) as one:
        assert one.ask() == "ok"
        assert in_parallel(one, 10) == ["ok"] * 10
        assert len(one.connections()) == 3
        assert all(len(connection.streams) <= 4 for connection in one.connections())


class Refusing(Destination):
    """Refuses the first streams of each connection."""

    def _serve(self, stream: Stream) -> None:
        if stream.number < 5:
            with stream.connection.lock:
                stream.connection.reset(stream, ErrorCodes.REFUSED_STREAM)
        else:
            super()._serve(stream)


def test_a_refused_stream_is_asked_for_again(tmp_path: Path) -> None:
    with captured(tmp_path, 1, door=Refusing) as one:
        assert one.ask() == "web-0"
        assert len(one.connections()) == 1
        assert one.row(one.members[0])["failed"] == 0


# -- not reached ------------------------------------------------------------------------------------------------------


def transport(one: Captured, path: str) -> tuple[str, str, str, str]:
    """Of a request nobody answered: status, flags, transport failure; and the outcome of the endpoint it tried."""
    status = one.ask(path)
    line = one.line(path)
    assert line["details"].startswith("upstream_reset_before_response_started{")
    return status, line["flags"], line["transport"], str(one.row(one.members[0])["failed"])


def test_a_refused_app_behind_a_living_ztunnel_is_no_error_of_the_client_and_ejected_after_three(
    tmp_path: Path,
) -> None:
    with captured(tmp_path) as one:
        assert one.asked(3) == ["web-0", "web-1", "web-2"]
        one.members[0].stop()
        answers = one.asked(12)
        assert set(answers) == {"web-1", "web-2"}
        wait_until(lambda: one.row(one.members[0])["ejected_left_ms"] > 0, 2)
        assert [connect.status for connect in one.doors[0].connects] == [200, 503, 503, 503]


@pytest.mark.parametrize("status", [400, 401, 503])
def test_any_other_answer_than_200_is_a_failure_to_connect(tmp_path: Path, status: int) -> None:
    with captured(tmp_path, 1) as one:
        one.doors[0].answer = status
        assert transport(one, unique()) == ("503", "UF", f"tunnel_response:{status}", "1")
        assert len(one.connections()) == 1
        one.doors[0].answer = None
        assert one.ask() == "web-0"
        assert len(one.connections()) == 1


def test_nothing_on_port_15008(tmp_path: Path) -> None:
    with captured(tmp_path, 1, doors=False) as one:
        refused = "remote_connection_failure|delayed_connect_error:_Connection_refused"
        path = unique()
        assert transport(one, path) == ("503", "UF", "delayed_connect_error:_Connection_refused", "1")
        assert one.line(path)["details"] == f"upstream_reset_before_response_started{{{refused}}}"


def test_an_endpoint_of_another_trust_domain(tmp_path: Path) -> None:
    with captured(tmp_path, 1, leaf=CA.leaf("in-ambient", "httpbin", "elsewhere")) as one:
        reason = "TLS_error:_trust_domain_elsewhere_is_not_one_of_cluster.local"
        assert transport(one, unique()) == ("503", "UF", reason, "1")


def test_an_endpoint_with_the_wrong_service_account(tmp_path: Path) -> None:
    with captured(tmp_path, 1, account="somebody") as one:
        reason = "TLS_error:_it_is_ns/httpbin/sa/in-ambient,_not_ns/httpbin/sa/somebody"
        assert transport(one, unique()) == ("503", "UF", reason, "1")
        assert not one.doors[0].connects


def test_an_endpoint_whose_certificate_is_of_another_mesh(tmp_path: Path) -> None:
    with captured(tmp_path, 1, leaf=Authority("elsewhere").leaf("in-ambient")) as one:
        status, flags, reason, failed = transport(one, unique())
        assert (status, flags, failed) == ("503", "UF", "1")
        assert reason.startswith("TLS_error:_certificate_refused:")


def test_an_endpoint_that_refuses_our_certificate(tmp_path: Path) -> None:
    """In TLS 1.3 the client's end of the handshake is over when it hears of that."""
    with captured(tmp_path, 1) as one:
        one.doors[0].roots = Authority().root
        one.doors[0].present(one.doors[0].leaf)
        status, flags, reason, failed = transport(one, unique())
        assert (status, flags, failed) == ("503", "UF", "1")
        assert reason.startswith("TLS_error:_it_refused_ours:"), reason


def test_H2_I_why_a_door_refuses_us_is_told_every_time(tmp_path: Path) -> None:
    """Its alert comes after our end of the handshake; whoever writes meanwhile meets a reset, and still reads it."""
    with captured(tmp_path, 1) as one:
        one.doors[0].roots = Authority().root
        one.doors[0].present(one.doors[0].leaf)
        path = unique()
        assert [one.ask(f"{path}/{number}") for number in range(40)] == ["503"] * 40
        told = [one.line(f"{path}/{number}")["transport"] for number in range(40)]
        assert [each for each in told if not each.startswith("TLS_error:_it_refused_ours:_unknown_CA")] == []


def test_without_a_certificate_of_ours_no_endpoint_is_blamed(tmp_path: Path) -> None:
    with captured(tmp_path, 2, own=False) as one:
        path = unique()
        assert one.ask(path) == "503"
        assert one.line(path)["transport"] == "TLS_error:_no_certificate_of_our_own"
        assert [one.row(member)["failed"] for member in one.members] == [0, 0]
        one.renew()
        wait_until(lambda: one.ask() == "web-0", 5)


def test_without_tls_dir_captured_endpoints_are_reached_in_clear_text(tmp_path: Path) -> None:
    with captured(tmp_path, 1, own=None) as one:
        assert one.ask() == "web-0"
        assert one.connections() == []
        assert "1 captured endpoints are reached in clear text" in one.replica.waypoint.errors()


def test_the_connect_timeout_holds_for_all_of_it(tmp_path: Path) -> None:
    with captured(tmp_path, 1, connect_timeout="300ms") as one:
        one.doors[0].hold.clear()
        path = unique()
        with within(1, at_least=0.25):
            assert one.ask(path) == "503"
        assert one.line(path)["details"] == "upstream_reset_before_response_started{connection_timeout}"
        one.doors[0].hold.set()
        assert one.ask() == "web-0"
        assert len(one.connections()) == 1


# -- connections that end ---------------------------------------------------------------------------------------------


def test_a_connection_with_goaway_serves_what_it_has_and_nothing_new(tmp_path: Path) -> None:
    with captured(tmp_path, 1, handler=slow_name(0.5)) as one:
        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(one.ask) for _ in range(4)]
            wait_until(lambda: len(one.doors[0].connects) == 4)
            (first,) = one.connections()
            first.goaway()
            first.ping()
            later = [pool.submit(one.ask) for _ in range(4)]
            assert [each.result() for each in running + later] == ["ok"] * 8
        assert len(one.doors[0].connections) == 2
        assert first.wait_until(lambda each: each.closed, 3)
        assert one.row(one.members[0])["failed"] == 0


def test_a_killed_destination_is_a_terminated_connection_and_another_endpoint_takes_over(tmp_path: Path) -> None:
    with captured(tmp_path, 2, handler=slow_name(0.5)) as one:
        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(one.ask) for _ in range(8)]
            wait_until(lambda: sum(len(member.heads) for member in one.members) == 8)
            one.doors[0].stop()
            assert [each.result() for each in running] == ["ok"] * 8
        assert one.row(one.members[0])["failed"] == 1, "all that were on one connection"


def test_a_stale_tunnel_is_no_outcome(tmp_path: Path) -> None:
    """The pod's ztunnel is restarted: the pooled tunnel is gone, a new connection takes its place."""
    with captured(tmp_path, 1) as one:
        assert one.ask() == "web-0"
        one.doors[0].drop()
        path = unique()
        assert one.ask(path, method="POST", body=b"x") == "web-0"
        assert one.line(path)["flags"] == "-"
        assert one.row(one.members[0])["failed"] == 0


def test_a_renewed_certificate_is_for_new_connections(tmp_path: Path) -> None:
    with captured(tmp_path, 1, handler=slow_name(0.2)) as one:
        stop = threading.Event()
        failed: list[str] = []

        def load() -> None:
            while not stop.is_set():
                if (answer := one.ask()) != "ok":
                    failed.append(answer)

        loads = [threading.Thread(target=load) for _ in range(4)]
        for each in loads:
            each.start()
        wait_until(lambda: len(one.doors[0].connects) >= 4)
        one.renew()
        wait_until(lambda: len(one.replica.waypoint.errors().split("info controller certificate of")) == 3, 5)
        assert in_parallel(one, 12) == ["ok"] * 12
        stop.set()
        for each in loads:
            each.join()
        assert not failed
        assert len(one.connections()) == 2


def test_a_connection_is_closed_when_no_endpoint_is_there_any_more(tmp_path: Path) -> None:
    with captured(tmp_path, 2) as one:
        assert one.asked(2) == ["web-0", "web-1"]
        (gone,) = one.doors[0].connections
        one.members_are(one.members[1])
        assert gone.wait_until(lambda each: each.closed, 5)
        assert gone.goaways == [(0, 0)]
        assert one.asked(2) == ["web-1"] * 2
        assert len(one.connections()) == 1


def test_a_thousand_tunnels_leave_nothing_behind(tmp_path: Path) -> None:
    def once(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")

    with captured(tmp_path, 1, handler=once) as one:
        (worker,) = one.replica.worker_pids()

        def ask(count: int) -> None:
            with Client(one.replica.port) as client:
                for _ in range(count):
                    assert client.ask("web")[1] == b"ok"

        ask(200)
        before = memory_kib(worker)
        ask(1000)
        assert memory_kib(worker) - before < 2000
        (connection,) = one.connections()
        wait_until(lambda: connection.open_streams() == 0)
        assert len(one.doors[0].connects) == 1200


# -- clients that do not read -----------------------------------------------------------------------------------------


def test_clients_that_do_not_read_take_nothing_from_others(tmp_path: Path) -> None:
    """They share one connection to the endpoint, and its window."""

    def handler(peer: Peer) -> None:
        while True:
            head, _ = peer.request()
            if "/big" not in head.first:
                peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                continue
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    peer.send(b"x" * 100_000)
            return

    with captured(tmp_path, 1, handler=handler) as one, contextlib.ExitStack() as stack:
        for _ in range(8):
            silent = stack.enter_context(Client(one.replica.port, receive_buffer=4096))
            silent.request("web", "/big")
        for _ in range(10):
            assert one.ask() == "ok"
            time.sleep(0.1)
        assert len(one.connections()) == 1
