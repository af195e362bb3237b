"""A very small HTTP server for readiness and admin pages: one request a connection, none for long, and who holds
connections open keeps nobody out (`guests`).

Not the data path: no keep-alive. Pages are looked at with GET; actions are POSTs of a small JSON object, which no web
page can send: that needs a content type that browsers ask leave for, and they say where they come from (Origin).
Runs on gevent; the caller has patched the process.
"""

import json
import logging
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import gevent
from gevent.server import StreamServer

from proxy import addresses
from proxy.admin.guests import Guests
from proxy.admin.hosts import Expects, anyone

log = logging.getLogger("controller")

PATIENCE_S = 2.0
"""How long one request and its answer may take."""
STREAM_S = 20.0
"""How long a streamed answer may; Prometheus gives up after 10 s by itself."""
MAX_CONNECTIONS = 256
BACKLOG = 1024
"""Connections that wait to be accepted; the kernel takes more of them than we can in one turn."""
MAX_HEAD = 8192
MAX_BODY = 8192

UNEXPECTED_HOST = (
    "this page answers only to the names of loopback and the address it listens on (--admin), so that no web page can "
    "read it: ask for it by such a name, as http://127.0.0.1:15000"
)

Fields = Mapping[str, list[str]]
"""What a request's header says, names in lower case."""
Answer = tuple[int, str, bytes]
"""Status, content type, body."""
Page = Callable[[], Answer]
Query = Callable[[Mapping[str, str]], Answer]
"""A page that is told what stands after the `?`."""
Action = Callable[[Mapping[str, Any]], Answer]
"""What is done with the JSON object that was sent."""


class Streamed(NamedTuple):
    """A long answer, 200, in pieces that are made while it is sent; its end is that of the connection."""

    kind: str
    fields: Sequence[tuple[str, str]]
    pieces: Generator[bytes]


Stream = Callable[[Fields], Streamed]
"""A page that is told what the request's head says."""


class PageServer:
    """Serves by path: `pages`, `queries`, `streams` for GET, `actions` for POST; to those whose Host it `expects`."""

    def __init__(
        self,
        pages: Mapping[str, Page],
        queries: Mapping[str, Query] | None = None,
        actions: Mapping[str, Action] | None = None,
        expects: Expects = anyone,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self._pages = pages
        self._queries = queries or {}
        self._actions = actions or {}
        self._expects = expects
        self._streams = streams or {}
        self._guests = Guests(MAX_CONNECTIONS)
        self._server: StreamServer | None = None

    def start(self, address: str) -> str:
        """Open `host:port` and serve; returns the address with the port that was picked if it was 0. Raises OSError."""
        host, port = addresses.split(address)
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        self._server = StreamServer(listener, self._serve)
        self._server.start()
        return addresses.join(host, listener.getsockname()[1])

    def _serve(self, sock: socket.socket, peer: tuple[Any, ...]) -> None:
        try:
            with self._guests.welcome(sock, str(peer[0])):
                streamed = None
                with gevent.Timeout(PATIENCE_S, False):
                    streamed = self._begin(sock)
                if streamed:
                    with gevent.Timeout(STREAM_S, False), closing(streamed.pieces):
                        _send(sock, streamed)
        except OSError:
            log.debug("a client of the status, admin or metrics port went away")
        except Exception:  # in the middle of an answer: it ends short, and whoever reads it sees that
            log.exception("a streamed page failed")
        finally:
            sock.close()

    def _begin(self, sock: socket.socket) -> Streamed | None:
        """Answers; what is to be streamed is left to the caller."""
        head, rest = _read_head(sock)
        answer = self._answer(sock, head, rest) if head else b""
        if isinstance(answer, Streamed):
            return answer
        sock.sendall(answer)
        return None

    def _answer(self, sock: socket.socket, head: bytes, rest: bytes) -> bytes | Streamed:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(plain(400, "this is not HTTP/1.1"), "GET")
        method, target, _ = words
        fields = _fields(lines[1:])
        try:
            if not self._expects(fields.get("host", [])):
                return _response(plain(403, UNEXPECTED_HOST), method)
            if method == "POST":
                return _response(self._act(sock, target, fields, rest), method)
            stream = self._streams.get(target.partition("?")[0]) if method == "GET" else None
            return stream(fields) if stream else _response(self._show(method, target), method)
        except Exception:  # a page that fails must not take readiness with it
            log.exception("%s failed", target)
            return _response(plain(500, "failed; see the log"), method)

    def _show(self, method: str, target: str) -> Answer:
        path, _, query = target.partition("?")
        if method not in ("GET", "HEAD") or path in self._actions:
            return plain(405, f"{path} is not for {method}")
        if path in self._pages:
            return self._pages[path]()
        if path in self._queries:
            return self._queries[path](dict(parse_qsl(query)))
        if path in self._streams:
            return 200, "text/plain; charset=utf-8", b""
        return plain(404, "no such page; there is " + " ".join([*self._pages, *self._queries, *self._streams]))

    def _act(self, sock: socket.socket, path: str, fields: Fields, rest: bytes) -> Answer:
        action = self._actions.get(path)
        if action is None:
            there_is = f"; there is {' '.join(self._actions)}" if self._actions else ""
            return plain(405 if path in {*self._pages, *self._queries} else 404, f"POST is not for {path}{there_is}")
        if "origin" in fields or _last(fields, "content-type").partition(";")[0].strip() != "application/json":
            return plain(403, "send content-type: application/json, and not from a web page")
        length = _last(fields, "content-length")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY:
            return plain(413, f"send a content-length of at most {MAX_BODY}")
        order = _object(_read_body(sock, rest, int(length)))
        return plain(400, "the body must be a JSON object") if order is None else action(order)


def _read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """Up to the empty line, and what has come after it; empty when the client left before, or sent too much."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(MAX_HEAD)
        if not more or len(data) > MAX_HEAD:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _read_body(sock: socket.socket, body: bytes, length: int) -> bytes:
    while len(body) < length and (more := sock.recv(MAX_BODY)):
        body += more
    return body[:length]


def _fields(lines: list[str]) -> Fields:
    fields: dict[str, list[str]] = {}
    for name, _, value in (line.partition(":") for line in lines):
        fields.setdefault(name.strip().lower(), []).append(value.strip())
    return fields


def _last(fields: Fields, name: str) -> str:
    return fields.get(name, [""])[-1]


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _send(sock: socket.socket, streamed: Streamed) -> None:
    """Without a length: it ends with the connection, in order; what gzip or OpenMetrics end with says the same."""
    head = "".join(f"{name}: {value}\r\n" for name, value in (("content-type", streamed.kind), *streamed.fields))
    sock.sendall(f"HTTP/1.1 200 OK\r\n{head}cache-control: no-store\r\nconnection: close\r\n\r\n".encode("latin-1"))
    for piece in streamed.pieces:
        sock.sendall(piece)
        gevent.sleep(0)  # it takes long to make them all, and others have questions too


def _response(answer: Answer, method: str) -> bytes:
    status, kind, body = answer
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    head += "cache-control: no-store\r\nconnection: close\r\n\r\n"
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)


def plain(status: int, text: str) -> Answer:
    """One line of text."""
    return status, "text/plain; charset=utf-8", text.encode() + b"\n"


def as_json(value: Any) -> Answer:
    """200 with `value`, indented for people; octets are shown as text."""
    return 200, "application/json", json.dumps(value, indent=2, default=_plain).encode() + b"\n"


def _plain(value: bytes | Sequence[Any]) -> object:
    """What JSON does not know: octets as text, sequences of whatever kind as lists."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else list(value)
