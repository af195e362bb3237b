"""A Pod that is ready and does nothing: for tests of what is said of Pods, not of what they do."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer

PORT = 15021


class Ready(BaseHTTPRequestHandler):
    """Answers any probe."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Probes are not told of."""


if __name__ == "__main__":
    HTTPServer(("0.0.0.0", PORT), Ready).serve_forever()
