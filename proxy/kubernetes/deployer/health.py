"""The deployer's own pages: /healthz/live (it moves) and /healthz/ready (it knows what there is), as text."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Health:
    """Serves them in threads of its own. `reason` says why not ready, "" if it is; `leads` is only told."""

    def __init__(
        self, address: str, reason: Callable[[], str], alive: Callable[[], bool], leads: Callable[[], bool]
    ) -> None:
        host, _, port = address.rpartition(":")
        self._address = host.strip("[]"), int(port)
        self._reason = reason
        self._alive = alive
        self._leads = leads

    def start(self) -> None:
        """Begin to serve. OSError if the address cannot be had."""
        server = ThreadingHTTPServer(self._address, self._handler())
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="health", daemon=True).start()

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        if path == "/healthz/live":
            return (200, "alive") if self._alive() else (503, "not alive: nothing has moved for two minutes")
        if path == "/healthz/ready":
            reason = self._reason()
            return (503, f"not ready: {reason}") if reason else (200, "leads" if self._leads() else "follows")
        return 404, "pages: /healthz/live, /healthz/ready"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self.page

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # who connects and says nothing

            def do_GET(self) -> None:
                status, text = page(self.path)
                body = f"{text}\n".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not told of."""

        return Handler
