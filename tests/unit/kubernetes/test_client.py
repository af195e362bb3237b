"""Requests to an API server: who we are, whom we believe, what an answer may be."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path

import pytest

from proxy.controller.cluster import client_of
from proxy.kubernetes.api.access import Access, in_cluster
from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.credentials import TokenFile
from proxy.kubernetes.api.faults import AccessFault, ApiFault
from proxy.kubernetes.api.resources import Resource
from proxy.settings.settings import Settings
from tests.certificates import Authority
from tests.unit.kubernetes.api_rig import ApiServer, Handler

PODS = Resource("", "v1", "pods", "Pod")


def test_the_token_is_read_for_each_request(api: ApiServer, tmp_path: Path) -> None:
    """kubelet renews it at 80 % of its life."""
    token = tmp_path / "token"
    client = Client(Access("127.0.0.1", api.port, secure=False, credentials=TokenFile(token)))
    for text in ("one", "two\n"):
        token.write_text(text)
        client.get(PODS.path("shop"))
    assert [each["Authorization"] for each in api.headers] == ["Bearer one", "Bearer two"]
    assert api.headers[0]["User-Agent"].startswith("waypointd/")
    token.unlink()
    with pytest.raises(ApiFault, match=r"token: the token cannot be read"):
        client.get(PODS.path("shop"))


@pytest.mark.parametrize("text", ["one\ntwo", "\N{SNOWMAN}"])
def test_a_token_that_no_header_can_hold_is_a_fault_like_others(api: ApiServer, tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    access = Access("127.0.0.1", api.port, secure=False, credentials=TokenFile(tmp_path / "token"))
    with pytest.raises(ApiFault):
        Client(access).get(PODS.path("shop"))


def test_a_host_that_is_no_name_is_a_fault_like_others() -> None:
    with pytest.raises(ApiFault):
        Client(Access("a" * 64, 443)).get(PODS.path("shop"))


def test_a_kubeconfig_that_is_not_there_is_an_api_server_that_is_away(api: ApiServer, tmp_path: Path) -> None:
    """A controller that starts anew goes on with what there was, and is not started again and again."""
    file = tmp_path / "config"
    client = client_of(Settings(source="kubernetes", gateway="shop/way", kubeconfig=str(file)))
    assert client
    with pytest.raises(ApiFault, match=r"the API server: .*config: no such file; give --kubeconfig FILE"):
        client.get(PODS.path())
    file.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api.port}"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    client.get(PODS.path())
    assert client.server == f"http://127.0.0.1:{api.port}"


def test_a_refusal_says_what_the_server_said(api: ApiServer) -> None:
    api.wrong = lambda handler: handler.refuse(429, "too many requests", Retry_After="7")
    with pytest.raises(ApiFault, match="429 too many requests") as caught:
        api.client.get(PODS.path())
    assert caught.value.retry_after_s == 7.0 and caught.value.status == 429


def test_a_refusal_that_is_no_status_is_told_all_the_same(api: ApiServer) -> None:
    """A load balancer in between, say."""

    def bad_gateway(handler: Handler) -> bool:
        handler.send_response(502)
        handler.send_header("Content-Length", "11")
        handler.end_headers()
        handler.wfile.write(b"no upstream")
        return True

    api.wrong = bad_gateway
    with pytest.raises(ApiFault, match="502 no upstream"):
        api.client.get(PODS.path())


def test_paths() -> None:
    gateways = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
    root = "/apis/gateway.networking.k8s.io/v1"
    assert gateways.path("shop", "way", "status") == f"{root}/namespaces/shop/gateways/way/status"
    assert PODS.path() == "/api/v1/pods"
    assert Resource("", "v1", "namespaces", "Namespace", False).path("", "shop") == "/api/v1/namespaces/shop"


def test_as_a_pod(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster(environ, tmp_path) is None and in_cluster({}, tmp_path) is None
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("shop")
    access = in_cluster(environ, tmp_path)
    assert access and (access.host, access.port, access.namespace) == ("10.96.0.1", 443, "shop")
    with pytest.raises(AccessFault, match=r"ca.crt: the CA's certificate cannot be used"):
        access.context()


def test_whom_we_believe(tmp_path: Path) -> None:
    """A server whose certificate another CA signed is refused, and that is what is said."""
    ours, theirs = Authority(), Authority()
    leaf = theirs.leaf("").write(tmp_path)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(leaf / "cert-chain.pem", leaf / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                try:
                    with server_context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(4096)
                        secured.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        stranger = Access("127.0.0.1", port, ca_data=ours.pem.decode(), server_name="waypoint.example")
        with pytest.raises(ApiFault, match="its certificate is not accepted"):
            Client(stranger).get(PODS.path())
        friend = Access("127.0.0.1", port, ca_data=theirs.pem.decode(), server_name="waypoint.example")
        assert Client(friend).get(PODS.path()) == {}
