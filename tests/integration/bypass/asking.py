"""Ways in which a case is asked, one request after the other on a connection as long as that lasts."""

import contextlib
from typing import Any

from tests.hbone.http2 import Connection
from tests.hbone.stream import Headers
from tests.hbone.ztunnel import Refused
from tests.integration.bypass.corpus import Case
from tests.integration.hbone_rig import HboneBench, TunnelClient, h2_client
from tests.integration.http_rig import Client

WAYS = ("http1", "http2", "plain-http1", "plain-http2")
"""Through tunnels, and on the Gateway's own listener."""
LOST = (OSError, EOFError, Refused)


class Asking:
    """One way. An answer of 0 is none."""

    def __init__(self, proxy: HboneBench, way: str) -> None:
        self._proxy, self._plain = proxy, way.startswith("plain")
        self._http2 = way.endswith("http2")
        self._open: dict[str, Any] = {}

    def ask(self, case: Case) -> int:
        """The status."""
        host = case.host or f"{case.service}.httpbin:8000"
        if not self._http2:
            return self._text(case, host)
        fields = [(":method", case.method), (":scheme", "http"), (":authority", host), (":path", case.target)]
        pairs = [line.partition(":") for line in case.lines]
        return self.stream(case.service, fields + [(name.lower(), value.strip(" \t")) for name, _, value in pairs])

    def websocket(self, case: Case) -> int:
        """The status, asked as an extended CONNECT (RFC 8441)."""
        host = case.host or f"{case.service}.httpbin:8000"
        named = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", host)]
        pairs = [line.partition(":") for line in case.lines]
        fields = [*named, (":path", case.target), *((name.lower(), value.strip(" \t")) for name, _, value in pairs)]
        return self.stream(case.service, fields)

    def stream(self, service: str, fields: Headers) -> int:
        """A request with this head in HTTP/2."""
        try:
            connection = self._connection(service)
            stream = connection.request(fields, end=True)
            status = int(stream.answered()[":status"])
            while stream.recv(1 << 16):
                pass
        except (*LOST, UnicodeError):
            connection = self._open.get(service)
            if connection is not None and connection.closed:
                self._close(service)
            return 0
        return status

    def _text(self, case: Case, host: str) -> int:
        text = "\r\n".join([f"{case.method} {case.target} HTTP/1.1", f"host: {host}", *case.lines, "", ""])
        try:
            client = self._connection(case.service)
            client.send(text)
            head, _ = client.answer(case.method == "HEAD")
        except LOST:
            self._close(case.service)
            return 0
        if "close" in head.get("connection", "") or head.status >= 400 or head.status == 101:
            self._close(case.service)
        return int(head.status)

    def _connection(self, service: str) -> Any:
        if service not in self._open:
            self._open[service] = self._connected(service)
        return self._open[service]

    def _connected(self, service: str) -> TunnelClient | Client | Connection:
        if not self._http2:
            return Client(self._proxy.http) if self._plain else self._proxy.client(service)
        return h2_client(Client(self._proxy.http).sock if self._plain else self._proxy.tunnel(service))

    def _close(self, service: str) -> None:
        made = self._open.pop(service, None)
        if made is not None:
            with contextlib.suppress(OSError):
                made.close()

    def close(self) -> None:
        for service in list(self._open):
            self._close(service)
