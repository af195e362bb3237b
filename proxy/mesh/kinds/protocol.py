"""What a Service port speaks, from how it is declared: Istio's `ConvertProtocol` and `protocol.Parse`."""

from __future__ import annotations

from enum import Enum


class Speaks(Enum):
    """What matters to a waypoint about a port's protocol."""

    HTTP = "http"
    HTTP2 = "http2"
    TCP = "tcp"
    UDP = "udp"
    UNDECLARED = "undeclared"


HTTP_FAMILY = frozenset({Speaks.HTTP, Speaks.HTTP2, Speaks.UNDECLARED})
"""What an HTTP listener serves: declared as HTTP of some kind, or not declared at all."""

_NAMES = {
    "http": Speaks.HTTP,
    "http_proxy": Speaks.HTTP,
    "grpc-web": Speaks.HTTP,
    "http2": Speaks.HTTP2,
    "grpc": Speaks.HTTP2,
    "tcp": Speaks.TCP,
    "tls": Speaks.TCP,
    "https": Speaks.TCP,
    "mongo": Speaks.TCP,
    "redis": Speaks.TCP,
    "mysql": Speaks.TCP,
    "udp": Speaks.UDP,
}
_KUBERNETES_NAMES = {
    "kubernetes.io/h2c": Speaks.HTTP2,
    "kubernetes.io/ws": Speaks.HTTP,
    "kubernetes.io/wss": Speaks.TCP,
}
# SMTP, DNS, MySQL, MongoDB: their servers speak first, so there is nothing to detect.
_SERVER_FIRST_PORTS = frozenset({25, 53, 3306, 27017})


def spoken(port: int, name: str, transport: str, app_protocol: str) -> Speaks:
    """`transport` is the port's `protocol` (TCP, UDP, SCTP); `app_protocol`, when set, beats the port's name."""
    if transport != "TCP":
        return Speaks.UDP
    declared = app_protocol.lower()
    if declared:
        speaks = _KUBERNETES_NAMES.get(declared) or _NAMES.get(declared)
    else:
        lower = name.lower()
        speaks = _NAMES.get("grpc-web" if lower.startswith("grpc-web") else lower.split("-", 1)[0])
    if speaks:
        return speaks
    return Speaks.TCP if port in _SERVER_FIRST_PORTS else Speaks.UNDECLARED


def declared(protocol: str) -> Speaks | None:
    """Of a ServiceEntry's port, which says it in a field of its own: "" is not declared. None: there is no such
    protocol."""
    return _NAMES.get(protocol.lower()) if protocol else Speaks.UNDECLARED
