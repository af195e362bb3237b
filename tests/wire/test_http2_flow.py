"""How streams share their connection's window (flow.pyx): those nobody reads leave room for the others."""

from collections.abc import Callable

import gevent
import pytest
from hyperframe.frame import RstStreamFrame, SettingsFrame, WindowUpdateFrame

from tests.instruments.inspect_http2 import StreamView
from tests.wire.http2_rig import (
    GET,
    OK,
    POST,
    PREFACE,
    REFUSED_STREAM,
    Client,
    Server,
    comes,
    data,
    raw,
    spin,
    window,
)

MIB = 1 << 20
BIG = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (8 * MIB) + b"x" * (8 * MIB)


def small(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"y" * size


def ztunnel() -> Client:
    """A client with a ztunnel's windows."""
    client = Client(greet=False)
    client.send(
        PREFACE,
        SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 4 * MIB}),
        window(0, 16 * MIB - 65535),
        raw(4, 1, 0),
    )
    return client


def stalled(client: Client, count: int) -> list[int]:
    """So many answers that nobody reads."""
    client.answer = BIG
    streams = list(range(1, 2 * count, 2))
    for stream in streams:
        client.send(client.get(stream))
    return streams


def received(client: Client, stream: int) -> int:
    return len(client.data(stream))


@pytest.mark.parametrize(("count", "left"), [(1, 4 * MIB), (4, 60_000), (16, 40_000), (99, 3_000)])
def test_Z1_b_answers_that_nobody_reads_leave_room_for_others(count: int, left: int) -> None:
    client = ztunnel()
    taken = [received(client, stream) for stream in stalled(client, count)]
    assert sum(taken) < 16 * MIB and max(taken) <= 4 * MIB
    client.answer = small(left)
    client.send(client.get(1001))
    assert client.ended(1001)


def test_Z1_b_an_answer_that_is_read_goes_on_beside_those_that_are_not() -> None:
    """It acknowledges as late as a ztunnel: a third of its window, of the connection's a third of what is left."""
    client = ztunnel()
    stalled(client, 3)
    client.send(client.get(1001))
    read = acked = 0
    while not client.ended(1001):
        got = received(client, 1001)
        assert got > read, f"it stands at {got}"
        read = got
        if read - acked > 4 * MIB // 3:
            client.send(window(1001, read - acked), window(0, read - acked))
            acked = read
    assert received(client, 1001) == 8 * MIB


@pytest.mark.parametrize("count", [5, 16])
def test_Z1_b_answers_that_were_read_and_are_no_more_leave_room_too(count: int) -> None:
    """Each is acknowledged once, as late as a ztunnel does."""
    client = ztunnel()
    client.answer = BIG
    for stream in range(1, 2 * count, 2):
        client.send(client.get(stream))
        if received(client, stream) >= 4 * MIB // 3:
            client.send(window(stream, 4 * MIB // 3), window(0, 4 * MIB // 3))
    client.answer = small(20_000)
    for stream in range(1001, 1013, 2):
        client.send(client.get(stream))
        assert client.ended(stream)


def test_Z1_b_a_receiver_that_acknowledges_at_half_a_window_is_given_that_half() -> None:
    """Of a stream's window, and of the connection's, of which two answers that nobody reads have the other half."""
    client = ztunnel()
    stalled(client, 2)
    client.answer = BIG * 2
    client.send(client.get(1001))
    read = acked = of_all = 0
    while not client.ended(1001):
        got = received(client, 1001)
        assert got > read, f"it stands at {got}"
        read = got
        if read - acked >= 2 * MIB:
            client.send(window(1001, read - acked))
            acked = read
        if read - of_all >= 8 * MIB:
            client.send(window(0, read - of_all))
            of_all = read


def test_Z1_b_small_windows_are_shared_out_by_answers() -> None:
    """64 KiB of streams and connection, as by default."""
    client = Client()
    client.send(client.headers(1, POST))
    client.answer = BIG
    client.send(client.get(3))
    for stream, size in ((1001, 4_000), (1003, 3_000)):
        client.answer = small(size)
        client.send(client.get(stream))
        assert client.ended(stream)


def test_Z1_b_one_answer_alone_has_all_of_the_window() -> None:
    client = Client(greet=False)
    client.send(PREFACE, SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 4 * MIB}), raw(4, 1, 0))
    client.answer = BIG
    client.send(client.get(1))
    assert received(client, 1) == 65535


def test_Z1_b_streams_that_wait_go_on_when_others_have_ended() -> None:
    client = Client()
    client.answer = small(65_000)
    client.send(client.get(1), client.get(3))
    assert 0 < received(client, 3) < 65_000 and not client.ended(1)
    client.send(window(0, 8_000))
    client.send(window(0, 100_000))
    assert client.ended(1) and client.ended(3)


def test_Z1_b_a_stream_left_alone_has_the_rest() -> None:
    client = Client()
    client.answer = small(65_000)
    client.send(client.get(1), client.get(3))
    before = received(client, 3)
    client.send(raw(3, 0, 1, (8).to_bytes(4, "big")))
    assert received(client, 1) + received(client, 3) == 65535 and received(client, 3) > before


def test_Z1_a_requests_that_nobody_reads_leave_the_connection_s_window_open() -> None:
    client = ztunnel()
    client.answer, client.reads = None, False
    sent = 0
    for stream in range(1, 199, 2):
        client.send(client.headers(stream, GET))
        for _ in range(16):
            client.connection.transport.feed(data(stream, b"x" * 16384).serialize())
            sent += 16384
        spin()
    client.look()
    credit = sum(frame.window_increment for frame in client.of(WindowUpdateFrame, 0))
    assert not client.of(WindowUpdateFrame, 1), "nothing of these was read"
    assert 65535 + credit - sent >= 8 * MIB, "what is left of the connection's"
    assert client.goaway() is None


def test_Z1_a_more_than_64_mib_are_not_held() -> None:
    client = ztunnel()
    client.answer, client.reads = None, False
    left = 16 * MIB
    for stream in range(1, 2000, 2):
        if left < 262144:
            break
        client.send(client.headers(stream, GET))
        for _ in range(16):
            client.connection.transport.feed(data(stream, b"x" * 16384).serialize())
        client.look()
        credit = sum(frame.window_increment for frame in client.of(WindowUpdateFrame, 0))
        left = 65535 + credit - 262144 * (stream // 2 + 1)
    assert 64 * MIB <= 262144 * (stream // 2) <= 80 * MIB


def enlarged(server: Server, streams: list[StreamView], size: int) -> int:
    """So much of each is sent, and read: by how much more than that was credited."""
    for index, stream in enumerate(streams):
        number = 2 * index + 1
        server.send(server.headers(number, OK))
        for _ in range(size // 16384):
            server.send(data(number, b"x" * 16384))
            gevent.spawn(stream.fill).join()
            stream.take()
    server.look()
    credit = sum(frame.window_increment for frame in server.of(WindowUpdateFrame) if frame.stream_id)
    return credit - size * len(streams)


def test_an_endpoints_stream_that_is_read_gets_no_larger_window() -> None:
    """It has a mebibyte from the start: Envoy cuts short what a smaller window has not let through when it ends."""
    server = Server()
    streams = [server.request(), server.request()]
    assert enlarged(server, streams, 4 * MIB) <= 0
    server.send(server.headers(5, OK))
    assert not server.of(WindowUpdateFrame, 5)


# -- requests of clients that read nothing ----------------------------------------------------------------------------


def narrow(client: Client, size: int) -> None:
    client.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: size}))


@pytest.mark.parametrize("size", [0, 16383])
def test_P2_two_requests_without_a_window_are_served_at_a_time(size: int) -> None:
    client = Client()
    narrow(client, size)
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 11, 2)))
    assert len(client.streams) == 2
    client.send(window(7, 16384))
    assert len(client.streams) == 3, "it can take an answer now"
    client.held.set()
    comes(lambda: len(client.streams) == 5 and client.connection.running == 0)


def test_P2_requests_wait_for_the_window_of_the_settings() -> None:
    client = Client()
    narrow(client, 0)
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 101, 2)))
    assert len(client.streams) == 2
    narrow(client, 65535)
    assert len(client.streams) == 22, "of one that has taken nothing yet"
    comes(lambda: len(client.streams) == 50)
    client.held.set()


def test_P2_requests_that_wait_and_are_reset_are_forgotten() -> None:
    client = Client()
    narrow(client, 0)
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 101, 2)))
    client.send(*(RstStreamFrame(stream, 8) for stream in range(5, 101, 2)))
    assert client.connection.running == 2 and client.connection.streams == 2
    client.send(RstStreamFrame(1, 8))
    client.held.set()
    comes(lambda: client.connection.running == 0)
    assert len(client.streams) == 2


@pytest.mark.parametrize("every", [2, 3, 10])
def test_P2_of_requests_that_wait_those_that_were_not_reset_have_their_turn(every: int) -> None:
    client = Client()
    narrow(client, 0)
    client.answer = small(10)
    client.send(*(client.get(stream) for stream in range(1, 201, 2)))
    reset = range(5, 201, 2 * every)
    for stream in reset:
        client.send(RstStreamFrame(stream, 8))
    narrow(client, 65535)
    comes(lambda: client.connection.running == 0)
    assert len(client.streams) == 100 - len(reset)
    client.look()
    assert all(client.ended(stream) for stream in range(1, 201, 2) if stream not in reset)


def test_P2_requests_that_wait_too_long_were_not_acted_on() -> None:
    client = Client(stall_seconds=0.1)
    narrow(client, 0)
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 7, 2)))
    gevent.sleep(0.25)
    client.look()
    assert client.reset(5) == REFUSED_STREAM
    assert client.reset(1) is None, "these are served"


def wide() -> Client:
    """A client that takes an answer of 20,000 on each stream, and more, but not all together."""
    client = Client(greet=False)
    client.send(PREFACE, SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 262144}), raw(4, 1, 0))
    return client


@pytest.mark.parametrize(("made", "begun"), [(wide, 102), (Client, 22)])
def test_P2_many_answers_that_wait_for_a_client_are_enough(made: Callable[[], Client], begun: int) -> None:
    """Also of requests that come all at once; two more are served at a time. Fewer of a client that takes little at a
    time, and of which it is not known that it reads."""
    client = made()
    client.answer = small(270_000)
    client.send(*(client.get(stream) for stream in range(1, 601, 2)))
    gevent.sleep(0.3)
    assert len(client.streams) == begun
    client.send(window(0, 1 << 30), *(window(stream, 270_000) for stream in range(1, 601, 2)))
    comes(lambda: len(client.streams) == 300 and client.connection.running == 0)


def test_P2_a_client_that_has_taken_answers_is_begun_more_at_once() -> None:
    client = Client()
    client.answer = small(100)
    client.send(*(client.get(stream) for stream in range(1, 201, 2)))
    assert client.connection.running == 0
    client.answer = small(70_000)
    client.send(*(client.get(stream) for stream in range(201, 801, 2)))
    gevent.sleep(0.3)
    assert len(client.streams) == 100 + 102
    client.held.set()


def test_P2_a_client_that_takes_nothing_for_ten_seconds_stands() -> None:
    second = 10**9
    client = Client()
    client.answer = small(70_000)
    client.send(*(client.get(stream) for stream in range(1, 121, 2)))
    assert [client.connection.stands(now * second) for now in (1, 10, 11)] == [False, False, True]
    client.send(window(0, 16_384))
    assert [client.connection.stands(now * second) for now in (12, 21, 22)] == [False, False, True]
    client.send(window(0, 1))
    assert client.connection.stands(23 * second), "that is next to nothing"


def test_P2_the_newest_answers_are_given_up() -> None:
    client = Client()
    streams = stalled(client, 5)
    client.connection.give_up(2)
    client.look()
    assert [client.reset(stream) is not None for stream in streams] == [False, False, True, True, True]


def test_P2_no_more_lots_are_begun_while_answers_of_the_first_wait() -> None:
    client = wide()
    client.answer = small(20_000)
    client.send(*(client.get(stream) for stream in range(1, 121, 2)))
    client.answer = None
    client.send(*(client.get(stream) for stream in range(121, 601, 2)))
    gevent.sleep(0.3)
    begun = len(client.streams)
    assert 100 <= begun <= 110, "the first lot, and two"
    client.send(window(0, 20_000))
    comes(lambda: len(client.streams) > begun + 30)
    client.held.set()


def test_many_requests_at_once_that_are_not_answered_are_all_begun() -> None:
    """In lots: those that take long do not keep others from being served."""
    client = wide()
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 801, 2)))
    comes(lambda: len(client.streams) == 400)
    client.held.set()


def test_those_of_a_client_that_takes_little_are_begun_too() -> None:
    """Later, for these may be many that nobody will read."""
    client = Client()
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 151, 2)))
    assert len(client.streams) == 22
    comes(lambda: len(client.streams) == 75)
    client.held.set()


def test_those_of_a_client_that_takes_what_has_begun_are_not_kept_waiting() -> None:
    """Answers that never end, each of which has begun."""
    client = Client()
    client.answer = None
    client.send(*(client.get(stream) for stream in range(1, 801, 2)))
    answered: list[StreamView] = []

    def all_begun() -> bool:
        for stream in client.streams[len(answered) :]:
            answered.append(stream)
            stream.put(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx")
        return len(answered) == 400

    comes(all_begun)
    client.held.set()
