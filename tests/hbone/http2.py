"""HTTP/2 over TLS for the peers of tests, on the h2 library.

Two threads run a connection: one reads and feeds h2, one writes what h2 wants written, so that neither waits for the
other. TLS goes through memory (`wrap_bio`): an ssl socket must not be read and written by two threads at once.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame, PingFrame, SettingsFrame

from tests.hbone.stream import Headers, Stream
from tests.hbone.windows import acknowledge_early

MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_UNSENT = 1 << 20  # a writer waits while this much is on its way to the socket


def _text(fields: Any) -> dict[str, str]:
    """Fields of an event, which are text because of `header_encoding`."""
    return dict(fields)


class Connection:
    """One HTTP/2 connection, either role, over TLS or (without a context) plain TCP. `early`: as ztunnel's."""

    def __init__(
        self,
        sock: socket.socket | Stream,
        tls: ssl.SSLContext | None,
        *,
        server: bool,
        settings: dict[int, int],
        window: int,
        serve: Callable[[Stream], None] | None = None,
        early: bool = False,
    ) -> None:
        self.sock: Any = sock  # a stream has those methods of a socket that are used here
        self._server, self._serve, self._early = server, serve, early
        self.settings, self._window = settings, window
        self.lock = threading.RLock()
        self.streams: dict[int, Stream] = {}
        self.peer_settings: dict[int, int] = {}
        self.goaways: list[tuple[int, int]] = []  # (error code, last stream)
        self.pings: list[bytes] = []
        self.answers_pings = True
        self.reads = threading.Event()  # while it is clear, nothing is read from the socket
        self.reads.set()
        self.closed = False
        self.identity = ""  # the peer's SPIFFE URI
        self.error: BaseException | None = None
        self._acks: dict[bytes, float] = {}
        self._changed = threading.Condition(self.lock)
        self._outbox: list[bytes] = []
        self._unsent = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self._incoming, self._outgoing, server_side=server) if tls else None
        self._handshake()
        self.h2 = self._session()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    # -- what users of a connection do --------------------------------------------------------------------------------

    def request(self, headers: Headers, *, end: bool = False) -> Stream:
        with self.lock:
            if self.closed:
                raise ConnectionResetError(f"connection lost: {self.error!r}")
            stream = Stream(self, self.h2.get_next_available_stream_id())
            self.streams[stream.number] = stream
            self.h2.send_headers(stream.number, headers, end_stream=end)
            if self._early:
                acknowledge_early(self.h2, stream.number)
            stream.finished = end
            self.flush()
            return stream

    def respond(self, stream: Stream, headers: Headers, *, end: bool = False) -> None:
        with self.lock:
            self.h2.send_headers(stream.number, headers, end_stream=end)
            stream.finished = stream.finished or end
            self.flush()

    def ping(self, seconds: float = 10.0) -> float:
        """Sends a PING: seconds until its ACK. Raises TimeoutError."""
        began = time.monotonic()
        data = b"%08d" % (int(began * 1e6) % 100_000_000)
        with self.lock:
            self.h2.ping(data)
            self.flush()
            while data not in self._acks:
                if self.closed:
                    raise ConnectionResetError(f"connection lost: {self.error!r}")
                if not self._changed.wait(began + seconds - time.monotonic()):
                    raise TimeoutError("no PING ACK")
            return self._acks.pop(data) - began

    def wait_until(self, condition: Callable[["Connection"], object], seconds: float = 5.0) -> bool:
        """Whether the condition came true; it is looked at after each event."""
        deadline = time.monotonic() + seconds
        with self.lock:
            while not condition(self):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    return bool(condition(self))
        return True

    def goaway(self, code: int = 0) -> None:
        """A GOAWAY that ends no stream; h2's own would close the connection."""
        last = (1 << 31) - 1 if self._server else 0
        with self.lock:
            self.raw(GoAwayFrame(0, last_stream_id=last, error_code=code).serialize())

    def raw(self, data: bytes) -> None:
        """Any bytes, past h2."""
        with self.lock:
            if self.tls:
                self.tls.write(data)
                data = self._outgoing.read()
            self._outbox.append(data)
            self._unsent += len(data)
            self._changed.notify_all()

    def certificate(self) -> bytes | None:
        """The peer's, DER."""
        return self.tls.getpeercert(True) if self.tls else None

    def open_streams(self) -> int:
        with self.lock:
            return sum(not (s.reset_code is not None or (s.ended and s.finished)) for s in self.streams.values())

    def close(self) -> None:
        """Closes the socket at once, as a process that is killed would."""
        self.reads.set()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
        self.sock.close()

    # -- what streams do, with the lock held but for send_some --------------------------------------------------------

    def send_some(self, stream: Stream, data: memoryview) -> int:
        def room() -> int:
            if stream.reset_code is not None or stream.finished:
                return 1
            return self.h2.local_flow_control_window(stream.number) if self._unsent < _UNSENT else 0

        with self.lock:
            stream.wait(room)
            if stream.reset_code is not None or stream.finished:
                raise BrokenPipeError(f"stream reset, code {stream.reset_code}, or ended")
            count = min(room(), self.h2.max_outbound_frame_size, len(data), 256 << 10)
            self.h2.send_data(stream.number, data[:count].tobytes())
            self.flush()
            return count

    def end(self, stream: Stream, trailers: Headers | None) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):
            if trailers:
                self.h2.send_headers(stream.number, trailers, end_stream=True)
            else:
                self.h2.end_stream(stream.number)
            self.flush()

    def reset(self, stream: Stream, code: int) -> None:
        if not self.closed and stream.reset_code is None:
            stream.reset_code = int(code)
            stream.changed.notify_all()
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self.h2.reset_stream(stream.number, code)
                self.consumed(stream, len(stream.unread))
            self.flush()

    def consumed(self, stream: Stream, count: int) -> None:
        if count and not self.closed:
            self.h2.acknowledge_received_data(count, stream.number)
            self.flush()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.closed:
            self.raw(data)

    # -- the threads --------------------------------------------------------------------------------------------------

    def _handshake(self) -> None:
        while self.tls:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self._outgoing.read())
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionResetError("closed during the handshake") from None
                self._incoming.write(data)
            except ssl.SSLError:
                self.sock.sendall(self._outgoing.read())  # the alert
                raise
        peer: dict[str, Any] = dict(self.tls.getpeercert() or {}) if self.tls else {}
        self.identity = next((value for kind, value in peer.get("subjectAltName", ()) if kind == "URI"), "")
        self.sock.settimeout(None)

    def _session(self) -> h2.connection.H2Connection:
        config = h2.config.H2Configuration(
            client_side=not self._server,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            validate_inbound_headers=not self._server,
        )
        made = h2.connection.H2Connection(config)
        enforced = {
            h2.settings.SettingCodes(code): value
            for code, value in self.settings.items()
            if code != SettingsFrame.MAX_CONCURRENT_STREAMS
        }
        made.local_settings = h2.settings.Settings(client=not self._server, initial_values=enforced)
        made.max_inbound_frame_size = made.local_settings.max_frame_size
        made.initiate_connection()
        made.clear_outbound_data_buffer()  # h2 would send settings of its own too
        self._outbox_first(SettingsFrame(0, settings=self.settings).serialize())
        made.increment_flow_control_window(self._window - 65535)
        if self._early:
            acknowledge_early(made)
        self._outbox_first(made.data_to_send(), first=False)
        table: dict[Any, Any] = made._frame_dispatch_table
        table[GoAwayFrame] = self._goaway_came  # h2 would refuse the streams that go on after it
        acks = table[PingFrame]
        table[PingFrame] = lambda frame: acks(frame) if self.answers_pings or "ACK" in frame.flags else ([], [])
        return made

    def hang_up(self) -> None:
        """Closes the connection once all that was to be sent has gone."""
        with self.lock:
            self._changed.wait_for(lambda: self.closed or not self._unsent, 10)
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _outbox_first(self, data: bytes, *, first: bool = True) -> None:
        self.raw((MAGIC if first and not self._server else b"") + data)

    def _goaway_came(self, frame: GoAwayFrame) -> tuple[list[Any], list[Any]]:
        self.goaways.append((frame.error_code, frame.last_stream_id))
        return [], []

    def _read(self) -> None:
        data = b""  # what came with the end of the handshake is there already
        try:
            while True:
                with self.lock:
                    self._take(data)
                    self._changed.notify_all()
                self.reads.wait()
                if not (data := self.sock.recv(1 << 18)):
                    break
        except (OSError, h2.exceptions.ProtocolError) as error:
            self.error = error
        with self.lock:
            if isinstance(self.error, h2.exceptions.ProtocolError):
                self.flush()
            self.closed = True
            self._changed.notify_all()
            for stream in self.streams.values():
                stream.changed.notify_all()

    def _take(self, data: bytes) -> None:
        if not self.tls:
            if data:
                self._feed(data)
            return
        self._incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            while plain := self.tls.read(1 << 18):
                self._feed(plain)

    def _feed(self, plain: bytes) -> None:
        for event in self.h2.receive_data(plain):
            self._on(event)
        self.flush()

    def _on(self, event: Any) -> None:
        if isinstance(event, h2.events.DataReceived):
            self._data(self.streams[event.stream_id], event)
        elif isinstance(event, h2.events.RequestReceived):
            self._requested(event)
        elif isinstance(event, h2.events.ResponseReceived):
            self.streams[event.stream_id].headers = _text(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            self.streams[event.stream_id].trailers = _text(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.streams[event.stream_id].ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.streams[event.stream_id].reset_code = int(event.error_code)
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.peer_settings.update({int(code): change.new_value for code, change in event.changed_settings.items()})
        elif isinstance(event, h2.events.PingReceived):
            self.pings.append(event.ping_data)
        elif isinstance(event, h2.events.PingAckReceived):
            self._acks[event.ping_data] = time.monotonic()
        self._tell(getattr(event, "stream_id", 0) or 0)

    def _tell(self, number: int) -> None:
        for stream in [self.streams[number]] if number in self.streams else list(self.streams.values()):
            stream.changed.notify_all()

    def _data(self, stream: Stream, event: Any) -> None:
        stream.received += len(event.data)
        if stream.gone and event.data:
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream.number)
            self.reset(stream, h2.errors.ErrorCodes.CANCEL)
            return
        stream.unread += event.data
        padding = event.flow_controlled_length - len(event.data)
        if padding:
            self.h2.acknowledge_received_data(padding, stream.number)

    def _requested(self, event: Any) -> None:
        stream = Stream(self, event.stream_id)
        stream.headers = _text(event.headers)
        self.streams[stream.number] = stream
        if self._early:
            acknowledge_early(self.h2, stream.number)
        if self.open_streams() > self.settings.get(SettingsFrame.MAX_CONCURRENT_STREAMS, 1 << 31):
            self.reset(stream, h2.errors.ErrorCodes.REFUSED_STREAM)  # h2 itself would end the connection
        elif self._serve:
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _write(self) -> None:
        while True:
            with self.lock:
                while not self._outbox:
                    if self.closed:
                        with contextlib.suppress(OSError):
                            self.sock.shutdown(socket.SHUT_RDWR)
                        return
                    self._changed.wait()
                data, self._outbox = b"".join(self._outbox), []
            try:
                self.sock.sendall(data)
            except OSError as error:
                self.error = self.error or error
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
                return
            with self.lock:
                waiting = self._unsent >= _UNSENT
                self._unsent -= len(data)
                self._changed.notify_all()
                if waiting:
                    self._tell(0)
