"""HTTP/2 towards endpoints, over TCP and over HBONE: who gets it, how connections are shared, what may be tried
again."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from tests.hbone.http2 import Connection
from tests.hbone.stream import Stream
from tests.integration.captured import Captured, captured, h2_app, h2_name
from tests.integration.hbone_rig import H2, serve_name
from tests.integration.http_rig import Client, Scripted, unique
from tests.rig import wait_until

HBONE = pytest.mark.parametrize("hbone", [False, True], ids=["tcp", "hbone"])


def slow(stream: Stream, endpoint: Scripted) -> None:
    time.sleep(0.3)
    h2_name(stream, endpoint)


def in_parallel(one: Captured, count: int) -> list[str]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: one.ask(), range(count)))


def h2_client(one: Captured) -> Connection:
    sock = socket.create_connection(("127.0.0.1", one.replica.port))
    return Connection(sock, None, server=False, settings=H2, window=1 << 24)


def headers(path: str, method: str = "GET") -> list[tuple[str, str]]:
    return [(":method", method), (":scheme", "http"), (":authority", "web"), (":path", path)]


# -- who gets it ------------------------------------------------------------------------------------------------------


@HBONE
def test_declared_http2_is_sent_whatever_the_client_spoke(tmp_path: Path, hbone: bool) -> None:
    with captured(tmp_path, 1, hbone=hbone, port_name="http2", handler=h2_app(h2_name)) as one:
        with Client(one.replica.port) as client:
            head, body = client.ask("web", "/some?x=1", method="POST", body=b"abc")
        assert (head.status, body, head["x-protocol"]) == (200, b"web-0", "h2")
        with contextlib.closing(h2_client(one)) as other:
            assert other.request(headers("/other"), end=True).answered()["x-protocol"] == "h2"
        (connection,) = one.members[0].connections
        assert len(connection.streams) == 2
        assert len(one.connections()) == int(hbone)


def test_declared_http_gets_http_1_even_from_an_http_2_client(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False, handler=serve_name) as one:
        with contextlib.closing(h2_client(one)) as client:
            assert client.request(headers("/"), end=True).answered()[":status"] == "200"
        assert one.members[0].heads[0].first == "GET / HTTP/1.1"


def test_h2UpgradePolicy_sends_HTTP_2_where_HTTP_is_declared(tmp_path: Path) -> None:
    with captured(tmp_path, 1, handler=h2_app(h2_name), pool={"h2UpgradePolicy": "UPGRADE"}) as one:
        with Client(one.replica.port) as client:
            head, body = client.ask("web")
        assert (head.status, body, head["x-protocol"]) == (200, b"web-0", "h2")


def test_useClientProtocol_sends_what_the_client_spoke_where_HTTP_is_declared(tmp_path: Path) -> None:
    with captured(tmp_path, 2, handler=serve_name, pool={"useClientProtocol": True}) as one:
        one.members[1].play(h2_app(h2_name))
        one.members_are(one.members[0])
        assert one.ask() == "web-0"
        one.members_are(one.members[1])
        with contextlib.closing(h2_client(one)) as client:
            assert client.request(headers("/"), end=True).answered()["x-protocol"] == "h2"


def test_what_is_not_declared_gets_what_the_client_spoke(tmp_path: Path) -> None:
    with captured(tmp_path, 2, hbone=False, port_name="data", handler=serve_name) as one:
        one.members[1].play(h2_app(h2_name))
        one.members_are(one.members[0])
        assert one.ask() == "web-0"
        one.members_are(one.members[1])
        with contextlib.closing(h2_client(one)) as client:
            assert client.request(headers("/"), end=True).answered()["x-protocol"] == "h2"


def test_an_upgrade_is_not_passed_on_to_http2(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(h2_name)) as one:
        upgrade = ("connection: upgrade", "upgrade: raw")
        assert one.ask("/", *upgrade) == "web-0"
        (connection,) = one.members[0].connections
        (stream,) = connection.streams.values()
        assert "upgrade" not in stream.headers


# -- connections ------------------------------------------------------------------------------------------------------


@HBONE
def test_many_requests_at_once_share_a_connection(tmp_path: Path, hbone: bool) -> None:
    with captured(tmp_path, 1, hbone=hbone, port_name="http2", handler=h2_app(slow)) as one:
        assert in_parallel(one, 40) == ["web-0"] * 40
        assert len(one.members[0].connections) == 1
        assert [len(door.connects) for door in one.doors] == [1] * hbone


def test_another_connection_is_made_when_one_is_full(tmp_path: Path) -> None:
    app = h2_app(slow, {3: 4})
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=app) as one:
        assert one.ask() == "web-0"
        assert in_parallel(one, 10) == ["web-0"] * 10
        assert len(one.members[0].connections) == 3


@HBONE
def test_goaway_while_requests_run(tmp_path: Path, hbone: bool) -> None:
    with captured(tmp_path, 1, hbone=hbone, port_name="http2", handler=h2_app(slow)) as one:
        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(one.ask) for _ in range(4)]
            wait_until(lambda: [len(made.streams) for made in one.members[0].connections] == [4])
            (first,) = one.members[0].connections
            first.goaway()
            first.ping()
            later = [pool.submit(one.ask) for _ in range(4)]
            assert [each.result() for each in running + later] == ["web-0"] * 8
        assert len(one.members[0].connections) == 2
        assert first.wait_until(lambda each: each.closed, 3)
        assert one.row(one.members[0])["failed"] == 0


def test_a_tunnel_whose_connection_is_to_go_gets_no_new_requests(tmp_path: Path) -> None:
    with captured(tmp_path, 1, port_name="http2", handler=h2_app(h2_name)) as one:
        assert one.ask() == "web-0"
        (first,) = one.connections()
        first.goaway()
        first.ping()
        assert one.ask() == "web-0"
        assert len(one.doors[0].connections) == 2
        assert first.wait_until(lambda each: each.closed, 3)


def test_an_answer_read_to_its_end_is_not_reset(tmp_path: Path) -> None:
    """Its END_STREAM may come late, whenever connections are swept; one that never comes is not waited for long."""
    lates = 24  # over more than the second between two sweeps

    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.respond(stream, [(":status", "200"), ("content-length", "2")])
        stream.sendall(b"ok")
        if stream.headers[":path"] == "/late":
            time.sleep(0.05)
            stream.finish()

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        for _ in range(lates):
            assert one.ask("/late") == "ok"
            time.sleep(0.05)
        assert one.ask("/never") == "ok"
        (connection,) = wait_until(lambda: one.members[0].connections, 2)  # it answers before it is in the list
        *late, never = connection.streams.values()
        wait_until(lambda: never.reset_code == ErrorCodes.CANCEL, 4)
        assert [stream.reset_code for stream in late] == [None] * lates


# -- what goes wrong --------------------------------------------------------------------------------------------------


def refuse_first(stream: Stream, endpoint: Scripted) -> None:
    if len(stream.connection.streams) == 1:
        with stream.connection.lock:
            stream.connection.reset(stream, ErrorCodes.REFUSED_STREAM)
    else:
        h2_name(stream, endpoint)


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_a_refused_request_was_not_sent(tmp_path: Path, body: bytes) -> None:
    with captured(tmp_path, 2, hbone=False, port_name="http2", handler=h2_app(refuse_first)) as one:
        path = unique()
        assert one.ask(path, method="POST", body=body) == "503"
        line = one.line(path)
        assert (line["flags"], line["details"]) == (
            "URX,UR",
            "upstream_reset_before_response_started{remote_refused_stream_reset}",
        )
        assert [one.row(member)["failed"] for member in one.members] == [2, 1], "the third try was on a new connection"
        assert one.ask(method="POST", body=body) == "web-1"


def test_requests_that_a_goaway_leaves_out_are_sent_again(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        if endpoint.name == "web-0" and len(endpoint.connections) == 1 and stream.number > 1:
            stream.connection.raw(GoAwayFrame(0, last_stream_id=1).serialize())
        else:
            h2_name(stream, endpoint)

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        assert one.ask() == "web-0"
        path = unique()
        assert one.ask(path, method="POST", body=b"abc") == "web-0"
        assert one.line(path)["flags"] == "-"
        assert len(one.members[0].connections) == 2
        assert one.row(one.members[0])["failed"] == 0


def test_a_reset_request_is_not_sent_again_unless_that_is_safe(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        if endpoint.name == "web-1":
            return h2_name(stream, endpoint)
        with stream.connection.lock:
            stream.connection.reset(stream, ErrorCodes.INTERNAL_ERROR)
        return None

    with captured(tmp_path, 2, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        path = unique()
        assert one.ask(path, method="POST", body=b"x") == "503"
        line = one.line(path)
        assert (line["flags"], line["details"]) == ("UR", "upstream_reset_before_response_started{remote_reset}")
        assert one.ask() == "web-1"
        assert one.ask() == "web-1"
        assert one.row(one.members[0])["failed"] == 2


@HBONE
def test_an_endpoint_that_does_not_speak_http2_was_not_reached(tmp_path: Path, hbone: bool) -> None:
    with captured(tmp_path, 2, hbone=hbone, port_name="http2", handler=h2_app(h2_name)) as one:
        one.members[0].play(serve_name)
        path = unique()
        assert one.ask(path, method="POST", body=b"abc") == "web-1"
        assert one.row(one.members[0])["failed"] == 1
        one.members_are(one.members[0])
        path = unique()
        assert one.ask(path) == "503"
        line = one.line(path)
        assert line["flags"] == "UF"
        assert line["transport"].startswith("HTTP/2:_"), line


def test_a_killed_endpoint_while_requests_run(tmp_path: Path) -> None:
    with captured(tmp_path, 2, hbone=False, port_name="http2", handler=h2_app(slow)) as one:
        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(one.ask) for _ in range(8)]
            wait_until(lambda: sum(len(made.streams) for each in one.members for made in each.connections) == 8)
            one.members[0].stop()
            assert [each.result() for each in running] == ["web-1"] * 8
        failed = one.row(one.members[0])["failed"]
        assert 1 <= failed <= 4, "once for the connection; those that were sent there again met a closed port"


def test_a_stale_connection_is_no_outcome(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(h2_name)) as one:
        assert one.ask() == "web-0"
        one.members[0].drop()
        assert one.ask() == "web-0"
        assert one.row(one.members[0])["failed"] == 0


@pytest.mark.slow
def test_a_quiet_http_2_endpoint_is_not_pinged(tmp_path: Path) -> None:
    """gRPC servers end a connection that pings more often than every 5 minutes, with all streams on it."""
    with captured(tmp_path, 1, hbone=False, port_name="grpc", handler=h2_app(h2_name)) as one:
        assert one.ask() == "web-0"
        time.sleep(11)
        (connection,) = one.members[0].connections
        assert connection.pings == [] and not connection.closed


def test_those_who_wait_for_a_connection_too_long_are_answered(tmp_path: Path) -> None:
    """The one that is being made, for all of them, hangs: the endpoint's ztunnel says nothing."""
    with captured(tmp_path, 1, doors=False, port_name="http2", connect_timeout="1s") as one:
        with socket.create_server((one.members[0].ip, 15008)):
            pid = one.replica.info()["workers"][0]["pid"]
            assert in_parallel(one, 5) == ["503"] * 5
        assert one.replica.info()["workers"][0]["pid"] == pid
        assert "Traceback" not in one.replica.waypoint.errors()
