"""What a port speaks, and which ports are served."""

from __future__ import annotations

import pytest

from proxy.mesh.kinds.protocol import Speaks, spoken
from tests.unit.mesh.mesh_rig import endpoint_slice, gateway, namespace, served, service, warnings


@pytest.mark.parametrize(
    ("name", "app", "speaks"),
    [
        ("", "", Speaks.UNDECLARED),
        ("http", "", Speaks.HTTP),
        ("http-web", "", Speaks.HTTP),
        ("HTTP-web", "", Speaks.HTTP),
        ("httpweb", "", Speaks.UNDECLARED),
        ("http2-web", "", Speaks.HTTP2),
        ("grpc", "", Speaks.HTTP2),
        ("grpc-web", "", Speaks.HTTP),
        ("grpc-web-ui", "", Speaks.HTTP),
        ("grpc-api", "", Speaks.HTTP2),
        ("tcp", "", Speaks.TCP),
        ("tls-x", "", Speaks.TCP),
        ("https", "", Speaks.TCP),
        ("mysql", "", Speaks.TCP),
        ("redis", "", Speaks.TCP),
        ("mongo-1", "", Speaks.TCP),
        ("udp-x", "", Speaks.UDP),
        ("web", "", Speaks.UNDECLARED),
        ("tcp", "http", Speaks.HTTP),
        ("http", "tcp", Speaks.TCP),
        ("http", "kubernetes.io/h2c", Speaks.HTTP2),
        ("tcp", "kubernetes.io/ws", Speaks.HTTP),
        ("http", "kubernetes.io/wss", Speaks.TCP),
        ("", "HTTP2", Speaks.HTTP2),
        ("http", "example.com/odd", Speaks.UNDECLARED),
        ("http_proxy", "", Speaks.HTTP),
    ],
)
def test_B16_what_a_port_speaks(name: str, app: str, speaks: Speaks) -> None:
    assert spoken(80, name, "TCP", app) is speaks


@pytest.mark.parametrize("port", [25, 53, 3306, 27017])
def test_server_first_ports_are_tcp_unless_declared(port: int) -> None:
    assert spoken(port, "web", "TCP", "") is Speaks.TCP
    assert spoken(port, "http", "TCP", "") is Speaks.HTTP


def test_udp_and_sctp_are_not_tcp() -> None:
    assert spoken(80, "http", "UDP", "http") is Speaks.UDP
    assert spoken(80, "http", "SCTP", "") is Speaks.UDP


def test_an_http_listener_serves_http_and_undeclared_ports() -> None:
    ports = [
        {"name": "http", "port": 80},
        {"name": "web", "port": 81},
        {"name": "grpc", "port": 82},
        {"name": "tcp-x", "port": 83},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "db", "port": 3306},
    ]
    sliced = endpoint_slice(ports=[{"name": each["name"], "port": each["port"]} for each in ports])
    objects = (namespace(), gateway(), service(ports=ports), sliced)
    assert served(*objects) == ["shop/cart:80", "shop/cart:81", "shop/cart:82"]
    said = warnings(*objects)
    assert "spec.ports[3]: port 83 is declared TCP; an HTTP listener does not serve it" in said
    assert "port 53" not in said
    assert "port 82" not in said


def test_a_service_without_an_http_port_is_warned_of() -> None:
    assert "has no HTTP port" in warnings(namespace(), gateway(), service(ports=[{"name": "tcp", "port": 80}]))
    assert "has no HTTP port" in warnings(namespace(), gateway(), service(ports=[]))
