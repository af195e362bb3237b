"""A parsed head or body as Python objects: for tests and debugging, never on the path of a request."""

from libc.stdint cimport int64_t

from proxy.wire.http cimport head as h
from proxy.wire.http.body cimport Body
from proxy.wire.http.head cimport Field, Head, Span
from proxy.wire.http.http1 cimport HEAD_ROOM, write_interim, write_request, write_response

FRAMINGS = {h.NO_BODY: "none", h.LENGTH: "length", h.CHUNKED: "chunked", h.UNTIL_CLOSE: "until close"}
RESULTS = {
    h.BAD: "bad", h.TOO_LARGE: "too large", h.TOO_MANY_FIELDS: "too many fields",
    h.LOW_VERSION: "low version", h.NOT_IMPLEMENTED: "not implemented", h.NO_HTTP: "no http",
}
METHODS = {b"GET": h.M_GET, b"HEAD": h.M_HEAD, b"CONNECT": h.M_CONNECT}
KINDS = {
    h.OTHER: "", h.HOST: "host", h.CONTENT_LENGTH: "content-length", h.TRANSFER_ENCODING: "transfer-encoding",
    h.CONNECTION: "connection", h.KEEP_ALIVE: "keep-alive", h.PROXY_CONNECTION: "proxy-connection", h.TE: "te",
    h.UPGRADE: "upgrade", h.EXPECT: "expect", h.DATE: "date", h.SERVER: "server", h.X_REQUEST_ID: "x-request-id",
    h.X_FORWARDED_PROTO: "x-forwarded-proto", h.X_FORWARDED_FOR: "x-forwarded-for", h.USER_AGENT: "user-agent",
    h.X_FORWARDED_CLIENT_CERT: "x-forwarded-client-cert", h.X_ENVOY: "x-envoy",
    h.X_ENVOY_ORIGINAL_PATH: "x-envoy-original-path",
    h.X_ENVOY_UPSTREAM_SERVICE_TIME: "x-envoy-upstream-service-time", h.CONTENT_TYPE: "content-type",
    h.GRPC_STATUS: "grpc-status", h.HTTP2_SETTINGS: "http2-settings", h.NOMINATED: "nominated",
}


class Refused(Exception):
    """The message is not accepted: the name of the Result, and the fault for the debug log."""

    def __init__(self, result: str, fault: str) -> None:
        super().__init__(result, fault)
        self.result = result
        self.fault = fault


cdef refuse(int result, const char* fault):
    raise Refused(RESULTS[result], fault.decode() if fault != NULL else "")


cdef class Scanner:
    """Head.scan fed piece by piece; `scanned` is the resume position it keeps."""

    cdef Head head
    cdef bytearray data
    cdef readonly Py_ssize_t scanned

    def __init__(self, bint lenient=False):
        self.head = Head(lenient=lenient)
        self.data = bytearray()

    def feed(self, bytes piece):
        """The size of the head once it is complete, else None. Raises Refused."""
        self.data += piece
        cdef int size = self.head.scan(self.data, len(self.data), &self.scanned)
        if size < 0:
            refuse(size, self.head.fault)
        return size or None


cdef int scan(Head head, bytes data) except -1:
    cdef Py_ssize_t scanned = 0
    cdef int size = head.scan(data, len(data), &scanned)
    if size < 0:
        refuse(size, head.fault)
    if size == 0:
        raise EOFError("the head is incomplete")
    return size


cdef Head request_head(bytearray data):
    cdef Head head = Head()
    cdef int size = scan(head, bytes(data))
    cdef int result = head.parse_request(data, size)
    if result != 0:
        refuse(result, head.fault)
    return head


cdef Head response_head(bytearray data, bytes method, bint http2):
    cdef Head head = Head(lenient=True)
    cdef int size = scan(head, bytes(data))
    head.both_framings = http2
    cdef int result = head.parse_response(data, size, METHODS.get(method, h.M_OTHER))
    if result != 0:
        refuse(result, head.fault)
    return head


def outcome(Head head, bytes text):
    """What has come of a head that came in fields, and was laid out as the text."""
    if head.result != 0:
        return RESULTS[head.result], head.fault.decode() if head.fault != NULL else ""
    return describe(head, text)


def outcome_of_text(bytes data, int method=-1):
    """What comes of that text: of an answer in HTTP/2 to a request of that head.Method, without it of a request."""
    cdef bytearray text = bytearray(data)
    cdef Head head = Head(lenient=method >= 0)
    cdef Py_ssize_t scanned = 0
    cdef int size = head.scan(text, len(text), &scanned)
    head.both_framings = method >= 0
    if size < 0:
        return RESULTS[size], head.fault.decode() if head.fault != NULL else ""
    size = head.parse_request(text, size) if method < 0 else head.parse_response(text, size, method)
    if size != 0:
        return RESULTS[size], head.fault.decode() if head.fault != NULL else ""
    return describe(head, bytes(text))


def request(bytes data):
    """The request head that the bytes begin with. Raises Refused; EOFError if it is incomplete."""
    text = bytearray(data)
    head = request_head(text)
    return describe(head, bytes(text))


def response(bytes data, bytes method=b"GET", bint http2=False):
    """The response head that the bytes begin with, for a request of that method. Raises Refused; EOFError. `http2`: it
    came in HTTP/2."""
    text = bytearray(data)
    head = response_head(text, method, http2)
    return describe(head, bytes(text))


def pass_request(bytes data):
    """The request that the bytes begin with as an endpoint gets it, and what comes behind it. Raises Refused; EOFError
    if it is incomplete."""
    cdef bytearray text = bytearray(data), out = bytearray(HEAD_ROOM + 4096)
    cdef Head head = request_head(text)
    cdef Py_ssize_t length = write_request(out, text, head, head.upgrade, b"00000000-0000-4000-8000-000000000000", None, None)
    return pass_body(bytes(out[:length]), head, data, False)


def pass_response(bytes data, bytes method=b"GET"):
    """The same for a response and its client; one that ends with its connection is as long as data."""
    cdef bytearray text = bytearray(data), out = bytearray(HEAD_ROOM + 4096)
    cdef Head head = response_head(text, method, False)
    cdef bint rechunk = head.framing == h.UNTIL_CLOSE
    cdef Py_ssize_t length
    if head.status < 200:
        return bytes(out[:write_interim(out, text, head)]), data[head.size:]
    length = write_response(out, text, head, rechunk, False, 0, b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", None)
    if not rechunk:
        return pass_body(bytes(out[:length]), head, data, True)
    body = data[head.size:]
    chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return bytes(out[:length]) + chunk + b"0\r\n\r\n", b""


cdef tuple pass_body(bytes text, Head head, bytes data, bint lenient):
    cdef Body body = Body(lenient)
    cdef Py_ssize_t at = head.size, taken, forward = 0
    cdef const char* source = data
    body.start(head.framing, head.content_length)
    while not body.done:
        taken = body.take(source + at, len(data) - at, &forward)
        if taken < 0:
            refuse(h.BAD, body.fault)
        if taken == 0:
            raise EOFError("the body is incomplete")
        text += body.out[:forward]
        at += taken
    return text, data[at:]


cdef text(bytes data, Span span):
    return data[span.at:span.at + span.length]


cdef describe(Head head, bytes data):
    cdef Field* field
    cdef int index
    fields, kinds = [], []
    for index in range(head.count):
        field = head.fields + index
        name = data[field.name:field.name + field.name_length]
        fields.append((name, data[field.value:field.value + field.value_length]))
        kinds.append(KINDS[field.kind])
    return {
        "size": head.size, "fields_at": head.fields_at, "minor": head.minor, "method": text(data, head.method_text),
        "known_method": head.method, "target": text(data, head.target), "authority": text(data, head.authority),
        "path": text(data, head.path), "absolute_form": head.absolute_form, "status": head.status,
        "reason": text(data, head.reason), "fields": fields, "kinds": kinds,
        "line_ends": [head.fields[index].line_end for index in range(head.count)],
        "framing": FRAMINGS[head.framing], "content_length": head.content_length, "close": head.close,
        "keep_alive": head.keep_alive, "upgrade": head.upgrade, "expect_continue": head.expect_continue,
        "te_trailers": head.te_trailers, "grpc": head.grpc, "grpc_status": head.grpc_status,
        "own_length": head.own_length, "bare_lf": head.bare_lf, "has_date": head.has_date, "has_server":
        head.has_server, "request_id": text(data, head.request_id), "forwarded_for": text(data, head.forwarded_for),
        "forwarded_proto": text(data, head.forwarded_proto), "user_agent": text(data, head.user_agent),
        "upgrade_to": text(data, head.upgrade_to), }


cdef class BodyReader:
    """Body.take fed piece by piece: what was forwarded so far, and what came after the end. `passing`: it never sees what
    it says that nobody need look at."""

    cdef Body body
    cdef bint passing
    cdef readonly bytearray forwarded
    cdef readonly bytes rest

    def __init__(self, str framing, int64_t content_length=-1, bint lenient=False, bint of_messages=False,
                 bint passing=False):
        self.body = Body(lenient)
        self.passing = passing
        self.body.of_messages = of_messages
        self.body.start({name: value for value, name in FRAMINGS.items()}[framing], content_length)
        self.forwarded = bytearray()
        self.rest = b""

    @property
    def done(self):
        return self.body.done

    @property
    def data_bytes(self):
        return self.body.data_bytes

    @property
    def told(self):
        """The messages that have begun, and the gRPC status in the trailers, -1 without one."""
        return self.body.messages, self.body.grpc_status

    def feed(self, bytes piece):
        """Take all of a piece. Raises Refused when the framing is malformed."""
        cdef const char* data = piece
        cdef const char* seen
        cdef Py_ssize_t at = 0, past, taken, forward = 0
        while at < len(piece) and not self.body.done:
            past = min(self.body.unread(), len(piece) - at) if self.passing else 0
            seen = data + at
            if past:
                seen = NULL
            taken = self.body.take(seen, past or len(piece) - at, &forward)
            if taken < 0:
                refuse(h.BAD, self.body.fault)
            assert 0 <= forward and 0 < taken <= len(piece) - at
            assert past == 0 or past == taken == forward
            self.forwarded += piece[at:at + past] or self.body.out[:forward]
            at += taken
        self.rest += piece[at:]

    def unframed(self, list pieces):
        """Body.unframe of a body as it was forwarded, in those pieces: its data and the lines of its trailers."""
        cdef Body body = Body()
        cdef Py_ssize_t at, used, piece_at, size
        cdef bytes piece
        cdef bint trailers
        data, lines = b"", b""
        body.start(h.CHUNKED, -1)
        for piece in pieces:
            at = 0
            while at < len(piece) and not body.done:
                trailers = body.in_trailers()
                used = body.unframe(<const char*>piece + at, len(piece) - at, &piece_at, &size)
                if used < 0:
                    refuse(h.BAD, body.fault)
                data += piece[at + piece_at:at + piece_at + size]
                lines += piece[at:at + used] if trailers else b""
                at += used
        assert body.done == self.body.done and body.data_bytes == self.body.data_bytes
        return data, lines
