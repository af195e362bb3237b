"""HTTP/2 endpoints that break the protocol, or do not answer in time: what clients, the log and they are told."""

import contextlib
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import SettingsFrame

from tests.hbone.stream import Headers, Stream
from tests.integration.captured import captured, h2_app, h2_name
from tests.integration.http_rig import Client, Peer, Scripted, unique
from tests.integration.test_endpoints_http2 import h2_client
from tests.rig import wait_until
from tests.wire.http2_rig import DATA, HEADERS, WINDOW_UPDATE, raw


def call_headers(path: str, timeout: str) -> Headers:
    asked = [(":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", path)]
    return [*asked, ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", timeout)]


# -- grpc-timeout -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", ["300m", "300000u"])
def test_H2_G_a_grpc_deadline_ends_the_call(tmp_path: Path, timeout: str) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.wait_until(lambda _: stream.reset_code is not None, 60)

    with captured(tmp_path, 1, hbone=False, port_name="grpc", handler=h2_app(serve)) as one:
        with contextlib.closing(h2_client(one)) as client:
            path = unique()
            call = client.request(call_headers(path, timeout), end=True)
            answer = call.answered()
        assert (answer[":status"], answer["grpc-status"]) == ("200", "4")
        (stream,) = one.members[0].connections[0].streams.values()
        wait_until(lambda: stream.reset_code == ErrorCodes.CANCEL)
        line = one.line(path)
        assert (line["flags"], line["details"]) == ("UT", "response_timeout")
        assert one.row(one.members[0])["failed"] == 0


def test_H2_G_it_is_for_all_of_the_answer(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.respond(stream, [(":status", "200"), ("content-type", "application/grpc")])
        stream.sendall(b"\0\0\0\0\0")
        stream.connection.wait_until(lambda _: stream.reset_code is not None, 60)

    with captured(tmp_path, 1, hbone=False, port_name="grpc", handler=h2_app(serve)) as one:
        with contextlib.closing(h2_client(one)) as client:
            call = client.request(call_headers("/x", "500m"), end=True)
            assert call.answered()[":status"] == "200"
            assert client.wait_until(lambda _: call.reset_code is not None, 30)
        (stream,) = one.members[0].connections[0].streams.values()
        wait_until(lambda: stream.reset_code == ErrorCodes.CANCEL)


def test_H2_G_it_ends_the_wait_for_a_connection_and_what_that_says_counts(tmp_path: Path) -> None:
    """The call is over in time; that there was no connection within the connect timeout is still told of the endpoint,
    or a pod that is gone would keep the calls of whoever waits less than that."""
    with captured(tmp_path, 1, port_name="grpc", handler=h2_app(h2_name), connect_timeout="3s") as one:
        one.doors[0].hold.clear()
        with contextlib.closing(h2_client(one)) as client:
            path = unique()
            call = client.request(call_headers(path, "200m"), end=True)
            answer = call.answered()
            assert (answer[":status"], answer["grpc-status"]) == ("200", "4")
            assert one.row(one.members[0])["failed"] == 0, "not yet"
            line = one.line(path)
            assert (line["flags"], line["details"]) == ("UT", "response_timeout")
            assert one.row(one.members[0])["in_flight"] == 1, "else the row may be another endpoint's when it fails"
            wait_until(lambda: one.row(one.members[0])["failed"] == 1, 10)
            wait_until(lambda: one.row(one.members[0])["in_flight"] == 0)
            one.doors[0].hold.set()
            assert client.request(call_headers("/again", "20S"), end=True).answered()[":status"] == "200"


@pytest.mark.parametrize("timeout", ["x", "0m", "123456789m", "1", "30S"])
def test_H2_G_what_says_nothing_or_is_not_over_ends_nothing(tmp_path: Path, timeout: str) -> None:
    app = h2_app(h2_name)
    with (
        captured(tmp_path, 1, hbone=False, port_name="grpc", handler=app) as one,
        contextlib.closing(h2_client(one)) as client,
    ):
        call = client.request(call_headers("/x", timeout), end=True)
        assert call.answered()["x-protocol"] == "h2"


# -- what is no HTTP/2 ------------------------------------------------------------------------------------------------

BROKEN = {
    "HPACK garbage": raw(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"),
    "DATA before HEADERS": raw(DATA, 0, 1, b"abc"),
    "too large a window": raw(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "a frame on no stream": raw(DATA, 0, 0, b"abc"),
}


@pytest.mark.parametrize("sent", BROKEN)
def test_H2_F_what_we_end_is_told_as_ours(tmp_path: Path, sent: str) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.raw(BROKEN[sent])

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        path = unique()
        assert one.ask(path, method="POST", body=b"abc") == "502"
        line = one.line(path)
        assert line["flags"] == "UPE", line
        assert "{protocol_error" in line["details"], line
        if sent != "DATA before HEADERS":
            assert line["transport"].startswith("HTTP/2:_"), line
            told = f"endpoints: HTTP/2 broken off with {one.members[0].address}: "
            wait_until(lambda: told in one.replica.waypoint.errors())


OK_OF_3 = b"\x88\x0f\x0d\x013"  # :status 200, content-length 3
EARLY = b"\x08\x03103"


@pytest.mark.parametrize(
    ("sent", "status", "failures"),
    [
        pytest.param([(HEADERS, 4, OK_OF_3), (DATA, 1, b"ab")], "cut", 1, id="less than its length"),
        pytest.param([(HEADERS, 4, OK_OF_3), (DATA, 0, b"abcd")], "cut", 1, id="more than its length"),
        pytest.param([(HEADERS, 4, EARLY), (DATA, 0, b"x"), (HEADERS, 5, b"\x88")], "502", 0, id="DATA behind a 103"),
    ],
)
def test_H2_F_a_message_that_we_reset_is_told_as_ours(
    tmp_path: Path, sent: list[tuple[int, int, bytes]], status: str, failures: int
) -> None:
    """What is refused whole says nothing of the endpoint; what is cut is like any answer that is."""

    def serve(stream: Stream, endpoint: Scripted) -> None:
        for kind, flags, payload in sent:
            stream.connection.raw(raw(kind, flags, stream.number, payload))

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        path = unique()
        with Client(one.replica.port) as client:
            client.request("web", path)
            try:
                head, _ = client.answer()
                if head.status == 103:
                    head, _ = client.answer()
                got = str(head.status)
            except EOFError:
                got = "cut"
        assert got == status
        line = one.line(path)
        assert line["flags"] == "UPE" and "{protocol_error" in line["details"], line
        assert one.row(one.members[0])["failed"] == failures


def test_H2_F_settings_that_may_not_be(tmp_path: Path) -> None:
    def serve(peer: Peer) -> None:
        peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 1}).serialize())
        peer.rest()

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=serve) as one:
        path = unique()
        assert one.ask(path, method="POST", body=b"abc") == "502"
        assert one.line(path)["flags"] == "UPE"


def test_H2_H_blanks_around_a_value_are_taken_off(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.raw(raw(HEADERS, 4, stream.number, b"\x88\x00\x03x-a\x0a padded \t \x00\x03x-b\x01 "))
        stream.connection.raw(raw(DATA, 1, stream.number, b"ok"))

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        with Client(one.replica.port) as client:
            head, body = client.ask("web")
        assert (head.status, body, head["x-a"], head["x-b"]) == (200, b"ok", "padded", "")
        assert b"x-a: padded\r\n" in head.raw.lower()
        assert one.row(one.members[0])["failed"] == 0
