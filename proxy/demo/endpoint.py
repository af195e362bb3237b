"""A sample endpoint for `waypointd --demo`: what a guide needs of httpbin, in one small process.

`/hostname` answers the Pod's name, `/status/N` that status, `/delay/S` after S seconds, `/headers` the request's
headers as JSON. SIGUSR1 makes it answer 503 to everything, SIGUSR2 makes it well again. The proxy imports none of it.
"""

import argparse
import contextlib
import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

LONGEST_DELAY_S = 60.0
HELP = "try /hostname, /status/503, /delay/2 or /headers\n"


class Endpoint(ThreadingHTTPServer):
    """One Pod of the demo."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], pod: str) -> None:
        super().__init__(address, Handler)
        self.pod = pod
        self.sick = False

    def server_bind(self) -> None:
        """Without the look-up of our own name that HTTPServer does, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


class Handler(BaseHTTPRequestHandler):
    """Answers any method alike."""

    server: Endpoint
    protocol_version = "HTTP/1.1"
    server_version = "waypointd-demo"
    disable_nagle_algorithm = True
    timeout = 3600  # seconds a connection may be idle: the proxy pools them

    def handle(self) -> None:
        """Serves a connection. Clients that leave before their answer are what the demo is about, not a fault."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def _respond(self) -> None:
        self._skip_body()
        status, body = (503, f"{self.server.pod} is sick\n") if self.server.sick else self._answer()
        payload = body.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json" if body.startswith("{") else "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def _skip_body(self) -> None:
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self._skip(size + 2)
            while self.rfile.readline().strip():  # trailers
                continue
        else:
            self._skip(int(self.headers.get("content-length") or 0))

    def _skip(self, size: int) -> None:
        while size > 0 and (piece := self.rfile.read(min(size, 65536))):
            size -= len(piece)

    def _answer(self) -> tuple[int, str]:
        match self.path.partition("?")[0].strip("/").split("/"):
            case ["hostname"]:
                return 200, f"{self.server.pod}\n"
            case ["status", text] if text.isascii() and text.isdigit() and 200 <= int(text) <= 599:
                return int(text), "" if int(text) in (204, 304) else f"{self.server.pod} answers {text}\n"
            case ["delay", text] if (wait := _seconds(text)) is not None:
                time.sleep(wait)
                return 200, f"{self.server.pod} after {wait:g} s\n"
            case ["headers"]:
                return 200, json.dumps({"headers": dict(self.headers.items())}, indent=2) + "\n"
        return 404, HELP

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the waypoint's access log is the one to look at."""


def _seconds(text: str) -> float | None:
    try:
        wait = float(text)
    except ValueError:
        return None
    return wait if 0 <= wait <= LONGEST_DELAY_S else None


def main(arguments: list[str]) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="proxy.demo.endpoint", description="A sample endpoint of waypointd --demo.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pod", required=True)
    options = parser.parse_args(arguments)
    with Endpoint((options.host, options.port), options.pod) as endpoint:
        signal.signal(signal.SIGUSR1, lambda *_: setattr(endpoint, "sick", True))
        signal.signal(signal.SIGUSR2, lambda *_: setattr(endpoint, "sick", False))
        endpoint.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
