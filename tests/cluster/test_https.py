"""Certificates of a Gateway's HTTPS listeners, from Secrets of a real API server, with no more rights than to get each
by its name; those of other namespaces with a ReferenceGrant."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.kubernetes.source import kinds
from tests.certificates import Authority, Leaf
from tests.cluster.api_rig import BINDINGS, CLASS, GATEWAY, MAY_TELL, ROLES, Shop
from tests.rig import free_port, get, wait_until

pytestmark = pytest.mark.api

CA = Authority(name="https")
HOSTS = {"near": "near.example", "far": "far.example"}


def may_get(*secrets: str) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [*secrets], "verbs": ["get"]}


class Door:
    """Two HTTPS listeners on one port: of one the Secret is beside the Gateway, of the other it is elsewhere."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.port = free_port()
        self.certs = f"{shop.namespace}-certs"
        self.leaves = {name: CA.leaf("", names=[host]) for name, host in HOSTS.items()}

    def put_gateway(self) -> None:
        references = {"near": {"name": "cert"}, "far": {"name": "cert", "namespace": self.certs}}
        listeners = [{"name": "http", "port": self.shop.port, "protocol": "HTTP"}]
        for name, host in HOSTS.items():
            tls = {"certificateRefs": [references[name]]}
            listeners.append({"name": name, "port": self.port, "protocol": "HTTPS", "hostname": host, "tls": tls})
        spec = {"gatewayClassName": CLASS, "listeners": listeners}
        self.shop.api.put(kinds.GATEWAYS, GATEWAY, self.shop.namespace, spec=spec)

    def put_secret(self, name: str) -> None:
        """The certificate of a listener as it is now."""
        namespace, leaf = self.shop.namespace if name == "near" else self.certs, self.leaves[name]
        data = {"tls.crt": leaf.chain, "tls.key": leaf.key}
        texts = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.shop.api.put(kinds.SECRETS, "cert", namespace, data=texts)

    def allow(self) -> None:
        """The rights that the deployer gives to the waypoint's account."""
        api, namespace = self.shop.api, self.shop.namespace
        rules = api.client.get(ROLES.path(namespace, "way"))["rules"]
        api.put(ROLES, "way", namespace, rules=[*rules, may_get("cert"), MAY_TELL])
        api.put(ROLES, "way", self.certs, rules=[may_get("cert")])
        reference = {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": "way"}
        subjects = [{"kind": "ServiceAccount", "name": "way", "namespace": namespace}]
        api.put(BINDINGS, "way", self.certs, roleRef=reference, subjects=subjects)

    def grant(self) -> None:
        source = {"group": kinds.GATEWAYS.group, "kind": "Gateway", "namespace": self.shop.namespace}
        spec = {"from": [source], "to": [{"group": "", "kind": "Secret", "name": "cert"}]}
        self.shop.api.put(kinds.GRANTS, "certs", self.certs, spec=spec)

    def shown(self, name: str) -> bool | None:
        """Whether a client is shown the listener's certificate; None: none at all."""
        context = ssl.create_default_context(cadata=CA.pem.decode())
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), 5) as sock,
                context.wrap_socket(sock, server_hostname=HOSTS[name]) as client,
            ):
                return client.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_text(self.leaves[name]))
        except OSError:
            return None


def _text(leaf: Leaf) -> str:
    return leaf.chain.decode()


@pytest.fixture
def door(shop: Shop) -> Iterator[Door]:
    made = Door(shop)
    shop.api.put(kinds.NAMESPACES, made.certs)
    with contextlib.ExitStack() as stack:
        stack.callback(shop.api.delete, kinds.NAMESPACES, made.certs)
        made.put_gateway()
        yield made


def test_a_certificate_is_got_by_its_name_and_followed(shop: Shop, door: Door) -> None:
    with shop.replica(config=shop.grant()) as replica:
        errors = replica.waypoint.errors
        assert [door.shown(name) for name in HOSTS] == [None, None], "ready, though nothing can be shown"
        assert get(replica.port, "/", f"pay.{shop.namespace}")[0] == 200
        for namespace in (shop.namespace, door.certs):
            rule = f"resourceNames: [cert], verbs: [get]}} in a Role of namespace {namespace}"
            wait_until(lambda rule=rule: rule in errors(), 10, "the right that it takes")
        for name in HOSTS:
            door.put_secret(name)
        door.allow()
        wait_until(lambda: door.shown("near"), 20, "the Secret is in force")
        assert door.shown("far") is None and "RefNotPermitted" in errors(), "the right is not enough"
        door.grant()
        wait_until(lambda: door.shown("far"), 20, "with the grant it is")
        door.leaves["near"] = CA.leaf("", names=[HOSTS["near"]])
        door.put_secret("near")
        wait_until(lambda: door.shown("near"), 20, "another certificate")
        shop.api.delete(kinds.GRANTS, "certs", door.certs)
        wait_until(lambda: door.shown("far") is None, 20, "what is no longer granted is not shown")
        shop.api.delete(kinds.SECRETS, "cert", shop.namespace)
        wait_until(lambda: "the last good ones stay in force" in errors(), 20, "it is gone")
        assert door.shown("near")
        assert "PRIVATE" not in str(replica.info("/config_dump")) + errors()
