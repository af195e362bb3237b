"""What endpoints may send on a connection that many clients share (RFC 9113 5.1, 8.1), and what it says of requests."""

import pytest
from hyperframe.frame import PriorityFrame, RstStreamFrame

from tests.wire.http2_rig import DATA, NO_ERROR, OK, SETTINGS, Server, data, raw, setting

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
