"""What goes wrong on the way of a request: whose fault it is, and how it is told to the client and to the log.

Statuses, response flags, details and bodies are Envoy's (access_log/usage.rst, local replies), so that what operators
know of a waypoint holds here.
"""

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Owner(Enum):
    """Whose fault it is."""

    CLIENT = "client"
    ENDPOINT = "endpoint"
    US = "us"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail. `status` 0: there is nobody left to answer. `transport_failure` is for the log alone."""

    owner: Owner
    status: int
    flags: bytes
    details: bytes
    body: bytes = b""
    transport_failure: bytes = b""
    grpc_status: int = -1
    """What a gRPC client is told; -1: what the status stands for."""
    fields: bytes = b""
    """Of the answer's head, besides those that every answer of ours has."""


BAD_REQUEST = Fault(Owner.CLIENT, 400, b"DPE", b"http1.codec_error", b"Bad Request")
HEAD_TOO_LARGE = Fault(Owner.CLIENT, 431, b"DPE", b"http1.headers_too_large", b"Request Header Fields Too Large")
TOO_MANY_FIELDS = Fault(Owner.CLIENT, 431, b"DPE", b"http1.too_many_headers", b"Request Header Fields Too Large")
LOW_VERSION = Fault(Owner.CLIENT, 426, b"DPE", b"low_version")
NOT_IMPLEMENTED = Fault(Owner.CLIENT, 501, b"DPE", b"http1.invalid_transfer_encoding", b"Not Implemented")
# An extended CONNECT (RFC 8441) for anything but WebSocket (RFC 9220 3).
UNKNOWN_PROTOCOL = Fault(Owner.CLIENT, 501, b"-", b"upgrade_failed", b"Not Implemented")
HEAD_TIMEOUT = Fault(Owner.CLIENT, 408, b"-", b"request_header_timeout", b"request header timeout")
BODY_TIMEOUT = Fault(Owner.CLIENT, 408, b"SI", b"stream_idle_timeout", b"stream timeout")
CLIENT_LEFT = Fault(Owner.CLIENT, 0, b"DC", b"downstream_remote_disconnect")
CLIENT_STALLED = Fault(Owner.CLIENT, 0, b"SI", b"stream_idle_timeout")

NO_ROUTE = Fault(Owner.CLIENT, 404, b"NR", b"route_not_found")
# A listener's TLS was asked for one name, and the request is for another listener's (RFC 9110 15.5.20).
MISDIRECTED = Fault(Owner.CLIENT, 421, b"NR", b"misdirected_request", b"Misdirected Request")
CLOSED = Fault(Owner.US, 403, b"-", b"rbac_access_denied_matched_policy[none]", b"RBAC: access denied")
# Where access or routes go by paths, one that might be another to the endpoint (proxy/policy/paths.py).
PATH_NOT_NORMAL = Fault(Owner.CLIENT, 400, b"-", b"path_normalization_failed", b"Bad Request")
NO_HEALTHY_ENDPOINT = Fault(Owner.ENDPOINT, 503, b"UH", b"no_healthy_upstream", b"no healthy upstream")

# A route's rule has no backend that gets requests.
NO_BACKEND = Fault(Owner.US, 500, b"-", b"direct_response", grpc_status=14)

# WebSocket to an endpoint that is sent HTTP/2 and takes no extended CONNECT; or one that did not take the Upgrade, but
# answered as if none had been asked for, which a client of HTTP/2 would take for a tunnel. It has done nothing wrong.
NO_WEBSOCKET = Fault(
    Owner.US,
    501,
    b"-",
    b"upgrade_failed{endpoint_takes_no_WebSocket_over_HTTP/2}",
    b"upgrade failed: the endpoint takes no WebSocket over HTTP/2",
)
NOT_SWITCHED = Fault(
    Owner.US, 501, b"-", b"upgrade_failed{endpoint_did_not_switch}", b"upgrade failed: the endpoint did not switch"
)
# Who translates has to answer the client's key.
NO_WEBSOCKET_KEY = Fault(Owner.CLIENT, 400, b"DPE", b"upgrade_failed{no_sec-websocket-key}", b"Bad Request")

# A connection for a backend of a route that is none, or is not known here.
NO_WAY = Fault(Owner.US, 0, b"NC", b"cluster_not_found")

# A tunnel is asked for to what is no `host:port`.
BAD_AUTHORITY = Fault(Owner.CLIENT, 400, b"DPE", b"bad_authority")


# The details of a request that no fault of these ended.
VIA_UPSTREAM = b"via_upstream"


def denied(rule: bytes) -> Fault:
    """An AuthorizationPolicy does not let the client in; `rule`: which one of its rules, or "none" that would."""
    details = b"rbac_access_denied_matched_policy[%s]" % rule
    return Fault(Owner.CLIENT, 403, b"-", details, b"RBAC: access denied")


LONGEST_REALM = 256
"""Octets of what www-authenticate says, as Envoy has it."""
_QUOTED = re.compile(rb"[^!#-\[\]-~]")


def bad_token(text: str, status: int, realm: bytes) -> Fault:
    """A token is not accepted, or there is none where one must be (Envoy's jwt_authn). `realm`: what was asked for."""
    where = b"http://" + _QUOTED.sub(b"", realm)
    invalid = b"" if text == "Jwt is missing" else b', error="invalid_token"'
    said = text.encode()
    return Fault(
        Owner.CLIENT,
        status,
        b"-",
        b"jwt_authn_access_denied{%s}" % said.replace(b" ", b"_"),
        said,
        fields=b'www-authenticate: Bearer realm="%s"%s' % (where[:LONGEST_REALM], invalid),
    )


def no_cluster(status: int) -> Fault:
    """A route's backend is none, or is not known here."""
    return Fault(Owner.US, status, b"NC", b"cluster_not_found", grpc_status=14)


def unkept(problem: str) -> Fault:
    """A route's rule cannot be kept."""
    return Fault(Owner.US, 500, b"-", b"route_invalid{%s}" % problem.replace(" ", "_").encode(), grpc_status=14)


def direct(status: int, body: bytes, grpc_status: int, details: str) -> Fault:
    """What a route has us answer; without a body where the status has none (RFC 9110 15.3.5, 15.4.5)."""
    text = b"" if status in (204, 304) else body
    return Fault(Owner.US, status, b"-", details.encode(), text, grpc_status=grpc_status)


def redirected(status: int, location: bytes) -> Fault:
    """A route sends the client elsewhere."""
    return Fault(Owner.US, status, b"-", b"direct_response", fields=b"location: " + location)


def rate_limited(fleet: bool, fields: bytes) -> Fault:
    """One request too many, by a limit of this replica's, or of the fleet's, as Envoy's local and global limits say it.
    `fields`: what the client is told of it."""
    details = b"request_rate_limited" if fleet else b"local_rate_limited"
    return Fault(Owner.CLIENT, 429, b"RL", details, b"local_rate_limited", fields=fields)


def connect_failed(error: int, retried: bool, exhausted: bool, reasons: Sequence[str] = ()) -> Fault:
    """No connection to the endpoint: refused, unreachable or (ETIMEDOUT) not answered within connectTimeout.

    `reasons`: what a tunnel or TLS had to say, instead of the errno.
    """
    flags = b"URX,UF" if exhausted else b"UF"
    if error == errno.ETIMEDOUT:
        return _reset(b"before", b"connection timeout", flags, retried)
    text = reasons[0] if reasons else f"delayed connect error: {os.strerror(error)}"
    return _reset(b"before", b"remote connection failure", flags, retried, text.encode())


def endpoint_closed(retried: bool, exhausted: bool) -> Fault:
    """The endpoint took the request and closed the connection without an answer."""
    return _reset(b"before", b"connection termination", b"URX,UC" if exhausted else b"UC", retried)


def endpoint_reset(refused: bool, retried: bool, exhausted: bool) -> Fault:
    """The endpoint reset the request's HTTP/2 stream; `refused`: without having done anything with it."""
    reason = b"remote refused stream reset" if refused else b"remote reset"
    return _reset(b"before", reason, b"URX,UR" if exhausted else b"UR", retried)


def endpoint_malformed(reasons: Sequence[str] = ()) -> Fault:
    """The endpoint answered something that is no HTTP response; `reasons`: what is wrong with it, for the log."""
    transport = b"|" + reasons[0].replace(" ", "_").encode() if reasons else b""
    return Fault(
        Owner.ENDPOINT,
        502,
        b"UPE",
        b"upstream_reset_before_response_started{protocol_error%s}" % transport,
        b"upstream connect error or disconnect/reset before headers. reset reason: protocol error",
        transport[1:],
    )


# Nothing moved either way for the stream idle timeout.
ENDPOINT_SILENT = Fault(Owner.ENDPOINT, 504, b"SI", b"stream_idle_timeout", b"stream timeout")

# The time was over that a request may take; or that a gRPC client had said it would wait: 4 is DEADLINE_EXCEEDED.
TIMED_OUT = Fault(Owner.ENDPOINT, 504, b"UT", b"response_timeout", b"upstream request timeout")
DEADLINE = replace(TIMED_OUT, grpc_status=4)


def attempt_overdue(exhausted: bool) -> Fault:
    """No answer came in the time that one attempt may take."""
    return replace(TIMED_OUT, flags=b"URX,UT" if exhausted else b"UT", details=b"upstream_per_try_timeout")


def injected(status: int, grpc_status: int) -> Fault:
    """A route asks for it."""
    return Fault(Owner.US, status, b"FI", b"fault_filter_abort", b"fault filter abort", grpc_status=grpc_status)


def preflight(fields: bytes) -> Fault:
    """A browser asks whether a page of another origin may send a request; `fields` say so."""
    return Fault(Owner.US, 200, b"-", b"cors_response", fields=fields)


# A connection that carries bytes has lasted as long as it may (maxConnectionDuration).
LASTED_TOO_LONG = Fault(Owner.US, 0, b"DT", b"-")

# The response's head had gone to the client already: its connection is cut, or it might take the rest for whole.
RESPONSE_CUT = Fault(Owner.ENDPOINT, 0, b"UC", b"upstream_reset_after_response_started{connection_termination}")
RESPONSE_MALFORMED = Fault(Owner.ENDPOINT, 0, b"UPE", b"upstream_reset_after_response_started{protocol_error}")
RESPONSE_STALLED = Fault(Owner.ENDPOINT, 0, b"SI", b"stream_idle_timeout")


def overflowed(fault: Fault) -> Fault:
    """That fault, after which there would have been another attempt, were there not as many retries as there may be."""
    return replace(fault, flags=b"UO," + fault.flags)


def _reset(when: bytes, reason: bytes, flags: bytes, retried: bool, transport: bytes = b"") -> Fault:
    details = b"upstream_reset_%s_response_started{%s%s}" % (when, reason, b"|" + transport if transport else b"")
    latest = b"retried and the latest reset reason: " if retried else b"reset reason: "
    return Fault(
        Owner.ENDPOINT,
        503,
        flags,
        details.replace(b" ", b"_"),
        b"upstream connect error or disconnect/reset before headers. " + latest + reason,
        transport.replace(b" ", b"_"),
    )


# The cluster has as many connections and requests that wait, or as many requests, as it may (connectionPool).
OVERFLOW = replace(
    _reset(b"before", b"overflow", b"UO", retried=False), owner=Owner.US, fields=b"x-envoy-overloaded: true"
)
