"""Bodies between two streams of HTTP/2, in pieces with trailers in fields, or as text: both come to the same."""

from collections.abc import Sequence

import pytest
from hyperframe.frame import Frame
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutants import fuzzed
from tests.instruments import inspect, inspect_http2
from tests.instruments.inspect_http2 import PythonServer, StreamView
from tests.wire.http2_rig import POST, PREFACE, Client, Fields, Peer, Server, data, raw, spin, window

Seen = tuple[str, bytes, list[list[tuple[str, str]]], bool, int | None]


class Way(Peer):
    """A client whose requests go on to `server`: as they come, or as the text that an endpoint over HTTP/1.1 gets."""

    def __init__(self, as_text: bool) -> None:
        self.as_text, self.server, self.result = as_text, Server(), ""
        super().__init__(inspect_http2.server(PythonServer(self._serve)), True)
        self.send(PREFACE, raw(4, 0, 0), raw(4, 1, 0))

    def _serve(self, stream: StreamView) -> None:
        target = self.server.connection.new_stream()
        self.result = self._by_text(stream, target) if self.as_text else stream.hand_on(target)
        if self.result != "ok":
            target.close()

    def _by_text(self, stream: StreamView, target: StreamView) -> str:
        try:
            text, end = stream.read()
        except inspect.Refused as refused:
            return refused.result
        return target.ask(text) if end == "end" else end

    def seen(self) -> Seen:
        """What came to the endpoint; of what did not go through, only that it did not."""
        self.server.look()
        if self.result != "ok":
            return self.result, b"", [], self.server.ended(1), None
        fields = self.server.fields[1]
        return self.result, self.server.data(1), fields[1:], self.server.ended(1), self.server.reset(1)


def both(*sent: bytes, apart: bool = False) -> Seen:
    """What comes of these frames either way, which is the same."""
    ways = Way(as_text=False), Way(as_text=True)
    for way in ways:
        for piece in sent if apart else [b"".join(sent)]:
            way.connection.transport.feed(piece)
            if apart:
                spin(3)
        way.look()
    pieces, text = (way.seen() for way in ways)
    assert pieces == text
    return pieces


def message(body: Sequence[bytes], trailers: Fields) -> list[bytes]:
    """A request, in frames."""
    peer = Client(greet=False)
    last = [] if trailers else ["END_STREAM"]
    head = peer.headers(1, [*POST, ("te", "trailers")])
    frames: list[Frame] = [head, *(data(1, piece) for piece in body[:-1]), data(1, body[-1] if body else b"", *last)]
    if trailers:
        frames.append(peer.headers(1, trailers, "END_STREAM"))
    return [frame.serialize() for frame in frames]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("body", [[], [b"hello"], [b"a", b"", b"b" * 16384, b"c"], [b"x" * 16384] * 3])
@pytest.mark.parametrize("trailers", [[], [("grpc-status", "0"), ("x", ""), ("y", "\u00ff \tz")]])
def test_bodies_and_trailers_go_on(body: list[bytes], trailers: Fields, apart: bool) -> None:
    result, came, fields, ended, reset = both(*message(body, trailers), apart=apart)
    assert (result, came, ended, reset) == ("ok", b"".join(body), True, None)
    assert fields == ([trailers] if trailers else [])


@fuzzed
@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.lists(st.tuples(st.sampled_from(["x", "grpc-status", "te", "host", "cookie", "date", "content-length", "y"]),
                       st.text("ab 0\t,", max_size=6)), max_size=5),
    st.booleans(),
)  # fmt: skip
def test_any_body_with_any_trailers(body: list[bytes], trailers: Fields, apart: bool) -> None:
    both(*message(body, trailers), apart=apart)


def test_every_octet_in_trailers() -> None:
    """What passes is one field, the same either way; what does not, passes neither."""
    passed = 0
    head = message([b"hello"], [("x", "1")])[:2]
    for octet in map(bytes, zip(range(0xC0))):
        letter = octet if octet < b"\x80" else b"\xc3" + octet  # for the decoder here, who wants UTF-8
        for name, value in ((b"na" + octet + b"me", b"v"), (b"name", b"v" + letter + b"w"), (octet, b"")):
            block = b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
            result, came, fields, *_ = both(*head, raw(1, 5, 1, block))
            if result == "ok":
                passed += 1
                assert came == b"hello" and len(fields) == 1 and len(fields[0]) == 1
    assert 200 < passed < 400, passed


@pytest.mark.parametrize(("count", "passes"), [(100, True), (101, False)])
def test_no_more_trailers_than_fields_of_a_head(count: int, passes: bool) -> None:
    result, _, fields, *_ = both(*message([b"hello"], [(f"x{index}", "1") for index in range(count)]))
    assert (result == "ok", sum(map(len, fields))) == (passes, count if passes else 0)


@pytest.mark.parametrize(("size", "passes"), [(14000, True), (17000, False)])
def test_no_larger_trailers_than_a_head(size: int, passes: bool) -> None:
    """Four of them: together they may be as large as any head."""
    peer = Client(greet=False)
    first = message([b"hello"], [("x", "1")])[:2]
    block = peer.encoder.encode([(f"x{index}", "1" * size) for index in range(4)], huffman=False)
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    kinds = [(1, 1), *[(9, 0)] * (len(pieces) - 2), (9, 4)]
    sent = [raw(kind, flags, 1, piece) for (kind, flags), piece in zip(kinds, pieces, strict=True)]
    result, *_ = both(*first, *sent)
    assert (result == "ok") == passes


def test_the_end_goes_on_with_the_last_piece() -> None:
    """No empty frame of DATA for it."""
    way = Way(as_text=False)
    way.connection.transport.feed(b"".join(message([b"hello"], [])))
    way.look()
    way.server.look()
    frames = [frame for frame in way.server.frames if frame.stream_id == 1]
    assert [type(frame).__name__ for frame in frames] == ["HeadersFrame", "DataFrame"] and way.server.ended(1)


def test_an_endpoint_that_takes_little_holds_up_its_client() -> None:
    """The windows of the client are opened by what the endpoint took, and by nothing else."""
    way = Way(as_text=False)
    way.server.send(raw(4, 0, 0, b"\0\4" + (10).to_bytes(4, "big")))
    peer = Client(greet=False)
    way.connection.transport.feed(peer.headers(1, POST).serialize())
    for _ in range(20):
        way.connection.transport.feed(data(1, b"x" * 10000).serialize())
        spin(3)
    way.look()
    way.server.look()
    opened = sum(int.from_bytes(frame.serialize()[9:], "big") for frame in way.frames if frame.stream_id == 1)
    assert way.server.data(1) == b"x" * 10 and opened <= 10000
    way.server.send(window(1, 1_000_000), window(0, 1_000_000))
    spin(20)
    way.look()
    assert len(way.server.data(1)) == 200_000
