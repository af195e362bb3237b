"""One HTTP/2 connection with one request on it, client side, for istiod's one call and for `hbone-get`: the h2 library
over anything that sends and receives bytes, so a stream of one connection can carry another.

Not the data path's HTTP/2 on purpose: what finds faults in that must not have the same. Blocking, with the deadline
of what is under it.
"""

from collections.abc import Sequence
from typing import Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

Headers = Sequence[tuple[str, str]]

STREAM_WINDOW = 4 * 1024 * 1024  # as ztunnel's
CONNECTION_WINDOW = 16 * 1024 * 1024


class Bytes(Protocol):
    """What a connection runs on: a TLS socket, or a stream of another connection. Both raise OSError."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, count: int, /) -> bytes: ...


class Http2Fault(Exception):
    """The peer ended it, or does not speak HTTP/2; the text says how."""


class Http2:
    """A connection whose preface has been sent. Everything raises Http2Fault and OSError."""

    def __init__(self, under: Bytes) -> None:
        self.settings: dict[str, int] = {}
        """The peer's that are not the default, once there: `await_settings`."""
        self.headers: Headers = ()
        """Of the answer, `:status` first."""
        self.trailers: Headers = ()
        self._under = under
        self._arrived: list[bytes] = []
        self._settled = self._ended = False
        self._fault = ""
        self._stream = 0
        # h2 wants :scheme and :path even of CONNECT, which has none (RFC 9113, 8.5).
        configuration = H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False)
        self._h2 = H2Connection(configuration)
        ours = {SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW, SettingCodes.ENABLE_PUSH: 0}
        self._h2.local_settings = Settings(client=True, initial_values=ours)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65535)
        self._flush()

    def await_settings(self) -> None:
        """Until the peer's SETTINGS are there: they are the first it may send."""
        while not self._settled:
            self._read()

    def ask(self, headers: Headers, end: bool) -> None:
        """Send the one request's head; `end`: it has no body."""
        self._stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(self._stream, headers, end_stream=end)
        self._flush()

    def await_status(self) -> int:
        """Until the answer's head is there."""
        while not self.headers:
            if self._ended:
                raise Http2Fault("it ended the stream without an answer")
            self._read()
        return int(dict(self.headers)[":status"])

    # -- the stream as bytes ----------------------------------------------------------------------------------------

    def sendall(self, data: bytes) -> None:
        """Send it as DATA, waiting for the peer's window."""
        view = memoryview(data)
        while view:
            room = min(self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size, len(view))
            if room:
                self._h2.send_data(self._stream, bytes(view[:room]))
                view = view[room:]
                self._flush()
            else:
                self._read()

    def finish(self) -> None:
        """No more from us."""
        self._h2.end_stream(self._stream)
        self._flush()

    def recv(self, count: int) -> bytes:
        """What has come, at most `count` bytes; b"" at the end."""
        while not self._arrived:
            if self._ended:
                return b""
            self._read()
        data = self._arrived.pop(0)
        if len(data) > count:
            self._arrived.insert(0, data[count:])
        return data[:count]

    # -- below ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._fault:
            raise Http2Fault(self._fault)
        data = self._under.recv(65536)
        if not data:
            raise Http2Fault("it closed the connection")
        try:
            events = self._h2.receive_data(data)
        except ProtocolError as fault:
            raise Http2Fault(f"what it sends is not HTTP/2 ({type(fault).__name__}: {fault})") from fault
        for event in events:
            self._take(event)
        self._flush()

    def _take(self, event: Event) -> None:
        match event:
            case RemoteSettingsChanged():
                self._settled = True
                self.settings |= {_name(code): each.new_value for code, each in event.changed_settings.items()}
            case ResponseReceived():
                self.headers = [(str(name), str(value)) for name, value in event.headers or ()]
            case InformationalResponseReceived():
                pass  # 100 and the like: the answer is still to come
            case TrailersReceived():
                self.trailers = [(str(name), str(value)) for name, value in event.headers or ()]
            case DataReceived():
                if event.data:
                    self._arrived.append(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            case StreamEnded():
                self._ended = True
            case StreamReset():  # told when what came before it has been read
                self._fault = self._fault or f"it reset the stream: {_error(event.error_code)}"
            case ConnectionTerminated():
                if event.error_code:
                    text = (event.additional_data or b"").decode("utf-8", "replace")
                    self._fault = f"it sent GOAWAY: {_error(event.error_code)} {text}".strip()

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._under.sendall(data)


def _name(code: object) -> str:
    return code.name.lower() if isinstance(code, SettingCodes) else f"{code}"


def _error(code: object) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error {code}"
