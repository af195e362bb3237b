"""Two other readers of HTTP/1.1, h11 and llhttp (httptools), asked the same questions as ours.

Each reads one message and says what it understood, when the message was complete, and the body's data.
"""

from dataclasses import dataclass, field

import h11
import httptools

ROOM = 1 << 20
LLHTTP_METHODS = (
    b"GET HEAD POST PUT DELETE OPTIONS TRACE CONNECT PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH BIND "
    b"REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR"
).split()


class Rejected(Exception):
    """The other reader does not take the message."""


@dataclass
class Understood:
    """What a reader made of the bytes it got so far. Field names are in lower case, values without blanks around."""

    method: bytes = b""
    target: bytes = b""
    status: int = 0
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    head_done: bool = False
    data: bytes = b""
    complete: bool = False


class H11:
    """h11, strict on most of RFC 9112. It reads requests as a server, responses as a client that sent `to`."""

    def __init__(self, to: bytes = b"") -> None:
        self.understood = Understood()
        self._connection = h11.Connection(h11.CLIENT if to else h11.SERVER, max_incomplete_event_size=ROOM)
        if to:
            target = b"a:1" if to == b"CONNECT" else b"/"
            self._connection.send(h11.Request(method=to, target=target, headers=[(b"host", b"a")]))
            self._connection.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> Understood:
        """Take more of the message. Raises Rejected."""
        try:
            self._connection.receive_data(data)
            while not self.understood.complete and self._take(self._connection.next_event()):
                pass
        except h11.ProtocolError as error:
            raise Rejected(str(error)) from error
        return self.understood

    def _take(self, event: object) -> bool:
        seen = self.understood
        if isinstance(event, h11.Request):
            seen.method, seen.target = bytes(event.method), bytes(event.target)
        if isinstance(event, h11.Response | h11.InformationalResponse):
            seen.status = event.status_code
        if isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
            seen.fields, seen.head_done = [(bytes(name), bytes(value)) for name, value in event.headers], True
        if isinstance(event, h11.Data):
            seen.data += event.data
        seen.complete = isinstance(event, h11.EndOfMessage | h11.InformationalResponse) or (
            event is h11.PAUSED and seen.head_done  # the tunnel that a 2xx to CONNECT begins
        )
        return event not in (h11.NEED_DATA, h11.PAUSED)


class Llhttp:
    """llhttp, the parser of Node.js, in its strict mode."""

    def __init__(self, response: bool = False) -> None:
        self.understood = Understood()
        self._parser = httptools.HttpResponseParser(self) if response else httptools.HttpRequestParser(self)
        self._response = response

    def feed(self, data: bytes) -> Understood:
        """Take more of the message. Raises Rejected."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.understood.complete = True
        except httptools.HttpParserError as error:
            raise Rejected(str(error)) from error
        return self.understood

    def on_url(self, url: bytes) -> None:
        self.understood.target += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if not self.understood.head_done:
            self.understood.fields.append((name.lower(), (value or b"").strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.understood.head_done = True
        if isinstance(self._parser, httptools.HttpResponseParser):
            self.understood.status = self._parser.get_status_code()
        else:
            self.understood.method = self._parser.get_method()

    def on_body(self, data: bytes) -> None:
        self.understood.data += data

    def on_message_complete(self) -> None:
        self.understood.complete = True
