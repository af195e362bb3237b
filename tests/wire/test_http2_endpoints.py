"""What endpoints may send on a connection that many clients share (RFC 9113 5.1, 8.1), and what it says of requests."""

import pytest
from hyperframe.frame import PriorityFrame, RstStreamFrame

from tests.wire.http2_rig import DATA, NO_ERROR, OK, REFUSED_STREAM, SETTINGS, Server, data, raw, setting, spin

WASTE = 3000
KINDS = {
    "RST_STREAM": lambda stream: RstStreamFrame(stream, NO_ERROR).serialize(),
    "SETTINGS": lambda stream: raw(SETTINGS, 0, 0, setting(3, 100)),
    "PRIORITY": lambda stream: PriorityFrame(stream, depends_on=stream + 2).serialize(),
    "empty DATA": lambda stream: raw(DATA, 0, stream),
    "DATA of padding": lambda stream: raw(DATA, 8, stream, b"\x05" + bytes(5)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_H2_A_frames_of_no_use_end_no_connection_of_many(kind: str) -> None:
    server = Server()
    download, _ = server.request(), server.request()
    server.send(server.headers(1, OK), data(1, b"begun "))
    server.send(server.headers(3, OK), *([data(3, b"", "END_STREAM")] if kind == "RST_STREAM" else []))
    for _ in range(WASTE // 100):
        server.send(KINDS[kind](3) * 100)
    server.send(data(1, b"ended", "END_STREAM"))
    text, end = download.read()
    assert (b"begun" in text, b"ended" in text, end) == (True, True, "end")
    assert server.goaway() is None and not server.connection.done and server.connection.has_room


def test_H2_A_each_answer_early_and_reset_afterwards() -> None:
    """RFC 9113 8.1: an endpoint that has answered before the whole request was there resets the stream."""
    server = Server()
    download = server.request()
    server.send(server.headers(1, OK), data(1, b"begun "))
    for number in range(3, 2 * 1300, 2):
        early = server.request(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")
        server.send(server.headers(number, OK), data(number, b"", "END_STREAM"), RstStreamFrame(number, NO_ERROR))
        assert early.read()[1] == "end"
    server.send(data(1, b"ended", "END_STREAM"))
    assert download.read()[1] == "end" and server.goaway() is None


# -- what is concluded of a request whose connection has ended --------------------------------------------------------


def test_H2_B_an_endpoint_that_says_nothing_may_have_acted() -> None:
    """It has read the request, and ends before its first frame."""
    server = Server(greet=False)
    stream = server.request()
    server.connection.transport.end_input()
    assert stream.fill() == "failed" and not stream.was_ignored


def test_H2_B_an_answer_and_then_a_refusal_is_no_refusal() -> None:
    server = Server()
    stream = server.request()
    server.send(server.headers(1, [(":status", "103")]), RstStreamFrame(1, REFUSED_STREAM))
    assert stream.read()[1] == "failed" and not stream.was_ignored


def test_H2_B_what_never_left_us_was_not_acted_on() -> None:
    server = Server()
    before = server.request()
    server.connection.transport.room = len(server.connection.transport.output)
    stream = server.connection.new_stream()
    assert stream.ask(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n") == "ok"
    spin()
    server.connection.transport.end_input()
    assert before.fill() == stream.fill() == "failed"
    assert (before.was_ignored, stream.was_ignored) == (False, True)


def test_H2_B_nor_is_it_by_a_server_that_answers_the_preface_in_http_1() -> None:
    server = Server(greet=False)
    stream = server.request()
    server.connection.transport.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert stream.fill() == "failed" and stream.was_ignored
