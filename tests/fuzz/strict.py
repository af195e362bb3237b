"""A reader of HTTP/1.1 requests that takes RFC 9112 at its word and is lenient in nothing: the grammar as regular
expressions.

Written apart from everything else, to be asked about what is passed on, and about what came: a request that it reads
has one meaning.
"""

import re
from dataclasses import dataclass

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
VALUE = rb"[\x21-\x7e\x80-\xff](?:[\x20\t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?"
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*(" + VALUE + rb")?[ \t]*\r\n")
LINE = re.compile(rb"(" + TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/1\.1\r\n")
SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;[^\r\n\x00-\x08\x0b-\x1f\x7f]*)?\r\n")
HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*(?::\d*)?|\[[0-9A-Fa-f:.]+\](?::\d*)?")


class Rejected(Exception):
    """It is no request by the letter of the RFC."""


class Incomplete(Rejected):
    """It may become one."""


@dataclass(frozen=True)
class Request:
    """What a request says. Field names in lower case."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    trailers: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.fields if each == name]


def read(data: bytes) -> tuple[Request, bytes]:
    """The request that data begins with, and what is behind it. Raises Rejected."""
    data = data.removeprefix(b"\r\n")  # RFC 9112 2.2
    line = LINE.match(data)
    if not line:
        raise Incomplete if b"\r\n" not in data else Rejected(data[:40])
    fields, rest = _fields(data[line.end() :])
    request = Request(line[1], line[2], fields, b"", ())
    hosts = request.values(b"host")
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        raise Rejected("Host")
    lengths, codings = request.values(b"content-length"), request.values(b"transfer-encoding")
    if codings and (lengths or len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise Rejected("framing")
    if len(lengths) > 1 or (lengths and not re.fullmatch(rb"\d+", lengths[0])):
        raise Rejected("content-length")
    if codings:
        body, trailers, rest = _chunks(rest)
    else:
        size = int(lengths[0]) if lengths else 0
        body, trailers, rest = rest[:size], (), rest[size:]
        if len(body) < size:
            raise Incomplete
    return Request(line[1], line[2], fields, body, trailers), rest


def read_all(data: bytes) -> list[Request]:
    """All requests in data, which ends with the last one. Raises Rejected."""
    requests = []
    while data:
        request, data = read(data)
        requests.append(request)
    return requests


def meant(data: bytes) -> tuple[list[Request], bool]:
    """What is meant by the letter of the RFC, and whether that is all that there is."""
    requests = []
    try:
        while data:
            request, data = read(data)
            requests.append(request)
    except Rejected:
        return requests, False
    return requests, True


def _fields(data: bytes) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    fields = []
    at = 0
    while not data.startswith(b"\r\n", at):
        field = FIELD.match(data, at)
        if not field:
            raise Rejected(data[at : at + 40])
        fields.append((field[1].lower(), field[2] or b""))
        at = field.end()
    return tuple(fields), data[at + 2 :]


def _chunks(data: bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...], bytes]:
    body = b""
    while True:
        size = SIZE.match(data)
        if not size:
            raise Incomplete if b"\r\n" not in data else Rejected(data[:40])
        count = int(size[1], 16)
        if count == 0:
            trailers, rest = _fields(data[size.end() :])
            return body, trailers, rest
        chunk = data[size.end() : size.end() + count + 2]
        if not chunk.endswith(b"\r\n") or len(chunk) < count + 2:
            raise Rejected("chunk")
        body, data = body + chunk[:-2], data[size.end() + count + 2 :]
