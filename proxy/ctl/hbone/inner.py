"""The request inside a tunnel, for `hbone-get`: HTTP/1.1 by the standard library, HTTP/2 by the h2 library."""

import http.client
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from proxy.ctl.hbone.tunnel import NO_ANSWER, Failed, Trace
from proxy.identity.http2 import Headers, Http2, Http2Fault
from proxy.wire.tls.mesh import reason_of

CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    method: str
    path: str
    host: str
    headers: Headers
    body: bytes
    http2: bool


class InnerExchange:
    """One request and its answer in `tunnel`."""

    def __init__(self, tunnel: Http2, request: Request, trace: Trace) -> None:
        self._tunnel = tunnel
        self._request = request
        self._trace = trace

    def run(self, body: BinaryIO) -> int:
        """Ask, write the answer's body to `body`; returns its status. Raises Failed."""
        try:
            status, chunks = (self._http2 if self._request.http2 else self._http1)()
            size = 0
            for chunk in chunks:
                size += body.write(chunk)
            self._trace.step("*", f"{size} bytes of body")
            self._tunnel.finish()
        except (Http2Fault, http.client.HTTPException) as fault:
            raise Failed(NO_ANSWER, f"in the tunnel: {str(fault) or type(fault).__name__}", _HINT) from fault
        except OSError as fault:
            raise Failed(NO_ANSWER, f"in the tunnel: {reason_of(fault)}", _HINT) from fault
        return status

    def _http1(self) -> tuple[int, Iterator[bytes]]:
        request = self._request
        fields = [("host", request.host), *request.headers]
        if request.body:
            fields.append(("content-length", str(len(request.body))))
        lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        for line in lines:
            self._trace.say(">", line)
        self._tunnel.sendall("\r\n".join([*lines, "", ""]).encode() + request.body)
        response = http.client.HTTPResponse(cast(Any, _AsSocket(self._tunnel)), method=request.method)
        response.begin()
        version = {10: "1.0", 11: "1.1"}.get(response.version, "?")
        self._trace.step("<", f"HTTP/{version} {response.status} {response.reason}")
        for name, value in response.getheaders():
            self._trace.say("<", f"{name}: {value}")
        self._tell_who(response.status, response.getheaders())
        return response.status, _body_of(response)

    def _tell_who(self, status: int, headers: Headers) -> None:
        """Whether it was no endpoint that answered."""
        found = {name.lower(): value for name, value in headers}
        if found.get("server") == "waypointd" and "x-envoy-upstream-service-time" not in found:
            why = _OWN_ANSWERS.get(status, "what its access log says in response_code_details")
            self._trace.say("*", f"the waypoint has answered itself: {why}")

    def _http2(self) -> tuple[int, Iterator[bytes]]:
        request = self._request
        connection = Http2(self._tunnel)
        pseudo = [
            (":method", request.method),
            (":scheme", "http"),
            (":authority", request.host),
            (":path", request.path),
        ]
        fields = [(name.lower(), value) for name, value in request.headers]
        for name, value in [*pseudo, *fields]:
            self._trace.say(">", f"{name}: {value}")
        connection.ask([*pseudo, *fields], end=not request.body)
        if request.body:
            connection.sendall(request.body)
            connection.finish()
        status = connection.await_status()
        self._trace.step("<", f"HTTP/2 {status}")
        for name, value in connection.headers[1:]:
            self._trace.say("<", f"{name}: {value}")
        self._tell_who(status, connection.headers[1:])
        return status, self._body_and_trailers(connection)

    def _body_and_trailers(self, connection: Http2) -> Iterator[bytes]:
        while chunk := connection.recv(CHUNK):
            yield chunk
        for name, value in connection.trailers:
            self._trace.say("<", f"{name}: {value} (trailer)")


_OWN_ANSWERS: Mapping[int, str] = {
    301: "a route redirects",
    302: "a route redirects",
    401: "a RequestAuthentication wants another token, or one at all",
    403: "an AuthorizationPolicy (or a token's audience) does not let this in; waypointctl explain route says which",
    404: "no rule of a route is for this; waypointctl explain route says why",
    429: "a rate limit is used up",
    500: "a route's rule or backend cannot be kept; --check says why",
    503: "no endpoint is there, can be reached, or has room",
    504: "no endpoint has answered in time",
}
_HINT = "its access log has a line for the request; its response flags and details say how it ended"


def _body_of(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(CHUNK):
        yield chunk
    if response.length:
        raise Http2Fault(f"the answer was cut: {response.length} bytes are missing")


class _Reader(io.RawIOBase):
    def __init__(self, tunnel: Http2) -> None:
        self._tunnel = tunnel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._tunnel.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _AsSocket:
    """As much of a socket as `HTTPResponse` wants."""

    def __init__(self, tunnel: Http2) -> None:
        self._tunnel = tunnel

    def makefile(self, *_: Any, **__: Any) -> Any:
        return io.BufferedReader(_Reader(self._tunnel))
