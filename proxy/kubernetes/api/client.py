"""Requests to the API server, over HTTP/1.1, one connection for each: watches stay open for minutes, all else is rare.

Nothing waits for ever: connecting, each answer and each silence have their bound; a server that vanished is found by
TCP's keepalive. An answer is read to a bound as well.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

from proxy.kubernetes.api.access import Access
from proxy.kubernetes.api.faults import AccessFault, ApiFault, of_status
from proxy.version import __version__

CONNECT_S = 10.0
ANSWER_S = 30.0
LONGEST_ANSWER = 256 << 20
LONGEST_EVENT = 16 << 20
"""More than etcd stores of one object (1.5 MiB by default), however it is written."""
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

Object = dict[str, Any]


class Events:
    """What a watch delivers."""

    def __init__(self, path: str, connection: socket.socket, response: http.client.HTTPResponse) -> None:
        self._path = path
        self._connection = connection
        self._response = response

    def __iter__(self) -> Iterator[Object]:
        while line := self._response.readline(LONGEST_EVENT + 1):
            if len(line) > LONGEST_EVENT:
                raise ApiFault(f"an event of {self._path} is longer than {LONGEST_EVENT >> 20} MiB")
            yield _object(line)

    def close(self) -> None:
        """End it, from any thread."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class Client:
    """Speaks to one API server. Every method raises ApiFault, and nothing else, if it does not succeed."""

    def __init__(self, access: Access | Callable[[], Access]) -> None:
        """`access`, or how to find it, which is tried at each request until it succeeds."""
        self._found = None if callable(access) else access
        self._find = access if callable(access) else None

    @property
    def _access(self) -> Access:
        """Raises AccessFault."""
        if self._found is None:
            assert self._find
            self._found = self._find()
        return self._found

    @property
    def namespace(self) -> str:
        """The one that is meant where none is named."""
        return self._access.namespace

    @property
    def server(self) -> str:
        """What messages call it."""
        if self._found is None:
            return "the API server"
        return f"{'https' if self._found.secure else 'http'}://{self._found.host}:{self._found.port}"

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = JSON) -> Object:
        """One object, or a list."""
        return self.send("GET", path, query=query, accept=accept)

    def apply(self, path: str, body: Object, manager: str) -> Object:
        """Server-side apply: exactly these fields are ours (KEP-555). The same again changes nothing."""
        query = {"fieldManager": manager, "force": "true"}
        return self.send("PATCH", path, body, query, APPLY)

    def send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Object:
        """One request and its whole answer."""
        with self._asked(method, path, query, body, (content_type, accept), ANSWER_S) as (_, response):
            read = response.read(LONGEST_ANSWER + 1)
            if len(read) > LONGEST_ANSWER:
                raise ApiFault(f"the answer to {path} is longer than {LONGEST_ANSWER >> 20} MiB")
            return _object(read)

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str], silence_s: float, accept: str = JSON) -> Iterator[Events]:
        """The events of a watch, until the server ends it. A silence of `silence_s` is a fault."""
        with self._asked("GET", path, query, None, (JSON, accept), silence_s) as (connection, response):
            yield Events(path, connection, response)

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None,
        types: tuple[str, str],
        silence_s: float,
    ) -> Iterator[tuple[socket.socket, http.client.HTTPResponse]]:
        try:
            connection = http.client.HTTPConnection(self._access.host, self._access.port)
            with self._connected() as plain_or_tls:
                connection.sock = plain_or_tls
                data = json.dumps(body).encode() if body is not None else None
                target = self._access.prefix + path + (f"?{urlencode(query)}" if query else "")
                connection.putrequest(method, target, skip_accept_encoding=True)
                for name, value in self._headers(data, *types):
                    connection.putheader(name, value)
                connection.endheaders(data)
                plain_or_tls.settimeout(silence_s)
                with connection.getresponse() as response:
                    self._see_that_well(response)
                    yield plain_or_tls, response
        # ValueError: a host that can be no name, a token that can be in no header.
        except (OSError, http.client.HTTPException, AccessFault, ValueError) as fault:
            raise ApiFault(f"{self.server}: {_said(fault)}") from None

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        access = self._access
        with socket.create_connection((access.host, access.port), CONNECT_S) as plain:
            for option, value in KEEPALIVE:
                plain.setsockopt(socket.IPPROTO_TCP, option, value)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if not access.secure:
                yield plain
                return
            with access.context().wrap_socket(plain, server_hostname=access.server_name or access.host) as secured:
                yield secured

    def _headers(self, data: bytes | None, content_type: str, accept: str) -> Iterator[tuple[str, str]]:
        yield "Accept", accept
        yield "User-Agent", f"waypointd/{__version__}"
        if authorization := self._access.credentials.header():
            yield "Authorization", authorization
        yield from self._access.impersonate
        if data is not None:
            yield "Content-Type", content_type
            yield "Content-Length", str(len(data))

    def _see_that_well(self, response: http.client.HTTPResponse) -> None:
        if response.status < 400:
            return
        said = response.read(1 << 16)
        try:
            status = json.loads(said)
        except ValueError:
            status = None
        if not isinstance(status, dict):
            status = {"message": said.decode(errors="replace").strip() or response.reason}
        wait = response.headers.get("Retry-After", "")
        fault = of_status(status, response.status, float(wait) if wait.isdecimal() else 0.0)
        if fault.unauthorized:
            self._access.credentials.refused()
        raise fault


def _object(text: bytes) -> Object:
    try:
        found = json.loads(text)
    except ValueError as fault:
        raise ApiFault(f"an answer that is not JSON: {fault}") from None
    if not isinstance(found, dict):
        raise ApiFault("an answer that is no object")
    return found


def _said(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {fault.verify_message}"
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    if isinstance(fault, http.client.IncompleteRead):
        return "the connection broke off"
    return str(fault) or type(fault).__name__
