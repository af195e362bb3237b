"""An HTTP/2 peer of single frames for tests of the sessions in memory: what it sends need not make sense."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import gevent
from gevent.event import Event
from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.instruments import inspect_http2
from tests.instruments.inspect_http2 import Connection, PythonServer, StreamView

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Fields = Sequence[tuple[str, str]]

GET: Fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
POST: Fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
OK: Fields = [(":status", "200")]

# Types of frames, a small head, error codes (RFC 9113 6, 7)
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
BLOCK = b"\x82\x86\x84\x41\x01a"  # GET, http, "/", a
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)


def spin(turns: int = 12) -> None:
    """Lets everything happen that needs no time."""
    for _ in range(turns):
        gevent.sleep(0)


def comes(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """The condition comes true, while time passes."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        gevent.sleep(0.01)


def raw(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """A frame of any content; `length` to claim another one."""
    claimed = len(payload) if length is None else length
    return claimed.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


AnyFrame = TypeVar("AnyFrame", bound=Frame)


class Peer:
    """The other end of a session: what it sends is fed at once, or byte by byte; what it gets is kept as frames."""

    def __init__(self, connection: Connection, whole: bool) -> None:
        self.connection, self.whole = connection, whole
        self.encoder, self.decoder = Encoder(), Decoder(max_header_list_size=1 << 20)
        self.frames: list[Frame] = []
        self.fields: dict[int, list[list[tuple[str, str]]]] = {}  # of each stream, one list for each header block
        self._parsed = 0
        self._block = b""

    def send(self, *pieces: bytes | Frame) -> None:
        sent = [piece.serialize() if isinstance(piece, Frame) else piece for piece in pieces]
        for data in [b"".join(sent)] if self.whole else sent:
            # nghttp2 counts, against floods, the reads that a CONTINUATION's head takes; so that one comes in one
            first = len(data) if self.whole else 9 if data[3:4] == b"\x09" else 1
            self.connection.transport.feed(data[:first])
            for octet in data[first:]:
                self.connection.transport.feed(bytes([octet]))
        self.look()

    def look(self) -> None:
        """Takes in what the session has written until now."""
        spin()
        output = bytes(self.connection.transport.output)
        while len(output) - self._parsed >= 9:
            head = memoryview(output)[self._parsed : self._parsed + 9]
            frame, length = Frame.parse_frame_header(head)
            if len(output) - self._parsed - 9 < length:
                return
            frame.parse_body(memoryview(output)[self._parsed + 9 : self._parsed + 9 + length])
            self._parsed += 9 + length
            self.frames.append(frame)
            if isinstance(frame, HeadersFrame | ContinuationFrame):
                self._block += frame.data
                if "END_HEADERS" in frame.flags:
                    fields = [_text(field) for field in self.decoder.decode(self._block)]
                    self.fields.setdefault(frame.stream_id, []).append(fields)
                    self._block = b""

    def headers(self, stream: int, fields: Iterable[tuple[str, str]], *flags: str) -> HeadersFrame:
        frame = HeadersFrame(stream, self.encoder.encode(list(fields)))
        frame.flags |= {"END_HEADERS", *flags}
        return frame

    def of(self, kind: type[AnyFrame], stream: int | None = None) -> list[AnyFrame]:
        return [each for each in self.frames if isinstance(each, kind) and stream in (None, each.stream_id)]

    def data(self, stream: int) -> bytes:
        return b"".join(frame.data for frame in self.of(DataFrame, stream))

    def ended(self, stream: int) -> bool:
        """END_STREAM was received, and nothing after it."""
        frames = [each for each in self.frames if each.stream_id == stream and type(each) in (DataFrame, HeadersFrame)]
        flags = ["END_STREAM" in each.flags for each in frames]
        return sum(flags) == 1 and flags[-1]

    def reset(self, stream: int) -> int | None:
        """The code the stream was reset with."""
        codes = [each.error_code for each in self.of(RstStreamFrame, stream)]
        return codes[0] if codes else None

    def goaway(self) -> int | None:
        """The code the connection was ended with."""
        codes = [each.error_code for each in self.of(GoAwayFrame)]
        return codes[-1] if codes else None


def _text(field: HeaderTuple | NeverIndexedHeaderTuple) -> tuple[str, str]:
    name, value = field
    return str(name), str(value)


class Client(Peer):
    """A client, and the session that serves it. Each request is kept as text in `requests`, with how it ended, and
    answered by `answer`, as an endpoint's over HTTP/1.1 would be, or `as_text`, as one of our own; None: the test does
    that, with the one in `streams`. Bodies are read unless `reads` is off."""

    def __init__(self, whole: bool = True, greet: bool = True, stall_seconds: float = 0, as_text: bool = True) -> None:
        self.as_text = as_text
        self.requests: list[tuple[bytes, str]] = []
        self.streams: list[StreamView] = []
        self.held = Event()
        self.reads = True
        self.answer: bytes | None = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        super().__init__(inspect_http2.server(PythonServer(self._serve, stall_seconds)), whole)
        if greet:
            self.send(PREFACE, SettingsFrame(0), raw(4, 1, 0))

    def _serve(self, stream: StreamView) -> None:
        self.streams.append(stream)
        head = stream.take()
        if not self.reads:
            body, end = b"", "unread"
        elif b"\r\ntransfer-encoding:" in head or b"\r\ncontent-length:" in head:
            body, end = stream.read()
        else:
            body, end = stream.take(), "end"
        self.requests.append((head + body, end))
        if self.answer is not None:
            own = self.as_text or self.answer.startswith(b"HTTP/1.1 1")
            stream.put(self.answer) if own else stream.answer(self.answer)
        else:
            self.held.wait()

    def get(self, stream: int, *more: tuple[str, str]) -> HeadersFrame:
        return self.headers(stream, [*GET, *more], "END_STREAM")

    def lives(self) -> bool:
        """Whether the connection still answers."""
        last = max([frame.stream_id for frame in self.frames] + [1])
        probe = 10_001 if last < 10_001 else (last | 1) + 2
        self.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.send(self.get(probe))
        return self.ended(probe) and not self.connection.done


class Server(Peer):
    """An endpoint, and the session that sends it requests."""

    def __init__(self, whole: bool = True, greet: bool = True) -> None:
        super().__init__(inspect_http2.client(), whole)
        self._parsed = len(PREFACE)
        if greet:
            self.send(SettingsFrame(0), raw(4, 1, 0))

    def request(self, text: bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") -> StreamView:
        stream = self.connection.new_stream()
        assert stream.ask(text) == "ok"
        self.look()
        return stream


def window(stream: int, increment: int) -> WindowUpdateFrame:
    return WindowUpdateFrame(stream, increment)


def data(stream: int, content: bytes, *flags: str) -> DataFrame:
    frame = DataFrame(stream, content)
    frame.flags |= set(flags)
    return frame


def continuation(stream: int, block: bytes, *flags: str) -> ContinuationFrame:
    frame = ContinuationFrame(stream, block)
    frame.flags |= set(flags)
    return frame


def setting(number: int, value: int) -> bytes:
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")
