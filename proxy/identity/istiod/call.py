"""One unary gRPC call over HTTP/2: a POST whose body is one message behind five octets, and a status in the trailers.

gRPC over HTTP2 (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md); status codes: doc/statuscodes.md.
"""

import struct
from collections.abc import Sequence
from urllib.parse import unquote

from h2.exceptions import ProtocolError

from proxy.identity.http2 import Http2, Http2Fault

LARGEST_MESSAGE = 1024 * 1024
_PREFIX = struct.Struct(">BI")
"""Whether it is compressed, and the message's length."""
CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
UNAUTHENTICATED, UNIMPLEMENTED, INVALID_ARGUMENT = "UNAUTHENTICATED", "UNIMPLEMENTED", "INVALID_ARGUMENT"
LONGEST_TEXT = 500


class Refused(Exception):
    """The server answered, and it was not OK: a name of CODES, and what it said."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.code = code


def call(
    connection: Http2,
    authority: str,
    path: str,
    metadata: Sequence[tuple[str, str]],
    message: bytes,
    timeout_s: float,
) -> bytes:
    """The answer's message. Raises Refused, Http2Fault, OSError, ValueError for an answer that is none."""
    head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", f"{timeout_s * 1000:.0f}m"),
        *metadata,
    ]
    try:
        connection.ask(head, end=False)
        connection.sendall(_PREFIX.pack(0, len(message)) + message)
        connection.finish()
    except ProtocolError as fault:
        raise Http2Fault(f"the request cannot be sent: {fault}") from fault
    status = connection.await_status()
    body = _body(connection)
    _see_that_ok(status, {**dict(connection.headers), **dict(connection.trailers)})
    return _message_in(body)


def _body(connection: Http2) -> bytes:
    body = bytearray()
    while piece := connection.recv(65536):
        body += piece
        if len(body) > LARGEST_MESSAGE:
            raise ValueError(f"it is larger than {LARGEST_MESSAGE // 1024} KiB")
    return bytes(body)


def _see_that_ok(status: int, fields: dict[str, str]) -> None:
    """A status in the head, where a call was refused at once, counts as one in the trailers does."""
    code = fields.get("grpc-status")
    if code is None:
        raise ValueError(f"HTTP status {status} without a gRPC status: that is no gRPC server")
    if code != "0":
        number = int(code) if code.isdecimal() else len(CODES)
        name = CODES[number] if number < len(CODES) else f"status {code[:20]}"
        raise Refused(name, unquote(fields.get("grpc-message", ""))[:LONGEST_TEXT])


def _message_in(body: bytes) -> bytes:
    if len(body) < _PREFIX.size:
        raise ValueError("it has no message")
    compressed, length = _PREFIX.unpack_from(body)
    if compressed or length != len(body) - _PREFIX.size:
        raise ValueError("its message is compressed, cut short, or not the only one")
    return body[_PREFIX.size :]
