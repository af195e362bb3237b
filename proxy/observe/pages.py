"""A very small HTTP server for readiness and admin pages: one GET a connection, a few at a time, none for long.

Not the data path: no keep-alive, no bodies. Runs on gevent; the caller has patched the process.
"""

import json
import logging
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer

from proxy import addresses

log = logging.getLogger("controller")

PATIENCE_S = 2.0
"""How long one request and its answer may take."""
MAX_CONNECTIONS = 64
MAX_HEAD = 8192

Answer = tuple[int, str, bytes]
"""Status, content type, body."""
Page = Callable[[], Answer]


class PageServer:
    """Serves `pages` by path."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._server: StreamServer | None = None

    def start(self, address: str) -> str:
        """Open `host:port` and serve; returns the address with the port that was picked if it was 0. Raises OSError."""
        host, port = addresses.split(address)
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        self._server = StreamServer(listener, self._serve, spawn=Pool(MAX_CONNECTIONS))
        self._server.start()
        return addresses.join(host, listener.getsockname()[1])

    def _serve(self, sock: socket.socket, _: object) -> None:
        try:
            with gevent.Timeout(PATIENCE_S, False):
                head = _read_head(sock)
                if head:
                    sock.sendall(self._answer(head))
        except OSError:
            log.debug("a client of the status or admin port went away")
        finally:
            sock.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(plain(400, "this is not HTTP/1.1"), "GET")
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _response(plain(405, "only GET and HEAD are answered here"), method)
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            return _response(plain(404, "no such page; there is " + " ".join(self._pages)), method)
        try:
            return _response(page(), method)
        except Exception:  # a page that fails must not take readiness with it
            log.exception("%s failed", target)
            return _response(plain(500, "failed; see the log"), method)


def _read_head(sock: socket.socket) -> bytes:
    """Up to the empty line; empty when the client left before, or sent too much."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(MAX_HEAD)
        if not more or len(head) > MAX_HEAD:
            return b""
        head += more
    return head


def _response(answer: Answer, method: str) -> bytes:
    status, kind, body = answer
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    head += "cache-control: no-store\r\nconnection: close\r\n\r\n"
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)


def plain(status: int, text: str) -> Answer:
    """One line of text."""
    return status, "text/plain; charset=utf-8", text.encode() + b"\n"


def as_json(value: Any) -> Answer:
    """200 with `value`, indented for people."""
    return 200, "application/json", json.dumps(value, indent=2).encode() + b"\n"
