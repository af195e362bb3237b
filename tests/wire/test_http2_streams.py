"""HTTP/2 streams side by side: states, windows, the end of a connection (RFC 9113 5.1, 5.2, 6.8)."""

import gevent
import pytest
from hyperframe.frame import (
    GoAwayFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.wire.http2_rig import (
    CANCEL,
    FLOW_CONTROL_ERROR,
    GET,
    NO_ERROR,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    SETTINGS,
    Client,
    comes,
    data,
    raw,
    window,
)


@pytest.fixture(params=["whole", "byte by byte"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param == "whole")


# -- 5.1: streams -----------------------------------------------------------------------------------------------------


def test_streams_are_told_apart(client: Client) -> None:
    for stream in (1, 3, 5):
        client.send(client.headers(stream, [*POST[:3], (":path", f"/{stream}")]))
    for content in (b"a", b"b"):
        client.send(*(data(stream, content * stream) for stream in (5, 1, 3)))
    client.send(*(data(stream, b"", "END_STREAM") for stream in (3, 5, 1)))
    texts = sorted(text for text, _ in client.requests)
    assert [text.count(b"a") - 1 for text in texts] == [1 + 1, 3 + 1, 5 + 1]
    assert all(client.ended(stream) for stream in (1, 3, 5))


@pytest.mark.parametrize("acknowledged", [False, True])
def test_no_more_streams_than_we_allow(acknowledged: bool) -> None:
    """5.1.2: the thousand and first is refused, and what is open goes on; whoever knows better is cut off."""
    client = Client(greet=False)
    client.answer = None
    client.send(PREFACE, SettingsFrame(0), raw(SETTINGS, 1, 0) if acknowledged else b"")
    client.send(*(client.get(stream) for stream in range(1, 2001, 2)))
    assert client.connection.running == 1000
    client.send(client.get(2001))
    if acknowledged:
        assert client.goaway() == PROTOCOL_ERROR
        return
    assert client.goaway() is None and client.reset(2001) == REFUSED_STREAM
    for stream in client.streams[:3]:
        assert stream.put(b"HTTP/1.1 204 No Content\r\n\r\n") == "ok"
    client.look()
    assert client.ended(1) and client.ended(3) and client.ended(5)


def test_no_more_greenlets_than_streams_we_allow() -> None:
    """Streams that were reset still cost until their greenlets notice."""
    client = Client()
    client.answer = None
    for stream in range(1, 1001, 2):
        client.send(client.get(stream), window(0, 1))  # it lives, so the next are not kept waiting
    comes(lambda: len(client.streams) == 500)
    client.send(*(RstStreamFrame(stream, CANCEL) for stream in range(1, 1001, 2)))
    assert client.connection.running == 500 and client.connection.streams == 0
    for stream in range(1001, 2101, 2):
        client.send(client.get(stream))
    assert client.connection.running == 1000
    assert client.reset(2003) == REFUSED_STREAM and client.reset(1999) is None
    client.held.set()
    comes(lambda: client.connection.running == 0)
    client.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    client.send(client.get(3001))
    assert client.ended(3001)


# -- 5.2, 6.9: windows ------------------------------------------------------------------------------------------------


def answer_of(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size


def test_an_answer_waits_for_the_window(client: Client) -> None:
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
    client.answer = answer_of(30)
    client.send(client.get(1))
    assert len(client.data(1)) == 10 and not client.ended(1)
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 5}))
    client.send(window(1, 5))
    assert len(client.data(1)) == 10, "the window was -5"
    client.send(window(1, 15))
    assert len(client.data(1)) == 25
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
    assert len(client.data(1)) == 30 and client.ended(1)


def test_one_stream_without_a_window_holds_up_no_other(client: Client) -> None:
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
    client.answer = answer_of(30)
    client.send(client.get(1))
    client.answer = answer_of(10)
    client.send(client.get(3))
    assert client.ended(3) and not client.ended(1)


def test_the_window_of_the_connection_is_shared(client: Client) -> None:
    client.answer = answer_of(65000)
    client.send(client.get(1), client.get(3))
    assert 65535 * 7 // 8 <= len(client.data(1)) + len(client.data(3)) <= 65535
    assert client.data(1) and client.data(3)
    client.send(window(0, 100_000))
    assert client.ended(1) and client.ended(3)


def test_an_end_that_carries_nothing_needs_no_window(client: Client) -> None:
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}))
    client.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    client.send(client.get(1))
    assert client.ended(1)


def test_a_client_that_opens_no_window_is_given_up() -> None:
    client = Client(stall_seconds=0.05)
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
    client.answer = answer_of(30)
    client.send(client.get(1))
    gevent.sleep(0.1)
    client.look()
    assert client.reset(1) == 2 and client.connection.running == 0
    assert client.lives()


def test_a_client_that_opens_its_window_slowly_is_not() -> None:
    client = Client(stall_seconds=0.1)
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
    client.answer = answer_of(50)
    client.send(client.get(1))
    for _ in range(8):
        gevent.sleep(0.05)
        client.send(window(1, 5))
    assert client.ended(1) and len(client.data(1)) == 50


def test_more_than_our_window_is_an_error() -> None:
    client = Client()
    client.answer = None
    client.send(client.get(1), client.headers(3, POST))
    sent = 0
    for _ in range(262144 // 16384):
        client.connection.transport.feed(data(5 if sent < 0 else 3, b"x" * 16384).serialize())
        sent += 16384
    client.look()
    assert client.goaway() is None and client.reset(3) is None
    unread = Client()
    unread.connection.transport.feed(unread.headers(1, [*GET]).serialize())
    for _ in range(262144 // 16384 + 1):
        unread.connection.transport.feed(data(1, b"x" * 16384).serialize())
    unread.look()
    assert FLOW_CONTROL_ERROR in (unread.goaway(), unread.reset(1))


# -- 6.8: the end -----------------------------------------------------------------------------------------------------


def test_draining_lets_streams_finish(client: Client) -> None:
    client.answer = None
    client.send(client.get(1))
    client.connection.shutdown()
    client.look()
    (goaway,) = client.of(GoAwayFrame)
    assert (goaway.error_code, goaway.last_stream_id) == (NO_ERROR, 2**31 - 1)
    assert client.streams[0].put(b"HTTP/1.1 204 No Content\r\n\r\n") == "ok"
    client.look()
    assert client.ended(1)


def test_goaway_of_the_client_lets_streams_finish(client: Client) -> None:
    client.answer = None
    client.send(client.get(1), GoAwayFrame(0))
    assert client.streams[0].put(b"HTTP/1.1 204 No Content\r\n\r\n") == "ok"
    client.look()
    assert client.ended(1)
