"""TLS to endpoints by Secrets of a real API server (`credentialName`), with no more rights than to get them by name."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from proxy.kubernetes.source import kinds
from tests.certificates import Authority, Leaf
from tests.cluster.api_rig import MAY_TELL, ROLES, RULES, Shop
from tests.integration.hbone_rig import serve_name
from tests.integration.http_rig import Scripted
from tests.integration.tls_rig import TlsApp, context
from tests.rig import Replica, get, wait_until

pytestmark = pytest.mark.api

CA = Authority(name="endpoints")


def put_secret(shop: Shop, name: str, **data: bytes) -> None:
    """`_` in a key stands for a dot."""
    texts = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    shop.api.put(kinds.SECRETS, name, shop.namespace, data=texts)


def put_pair(shop: Shop, leaf: Leaf) -> None:
    put_secret(shop, "ours", tls_crt=leaf.chain, tls_key=leaf.key, ca_crt=CA.pem)


def allow(shop: Shop, *secrets: str) -> None:
    """The waypoint's Role, with the right to get these, as the deployer grants it."""
    shop.grant_role()
    rules = shop.api.client.get(ROLES.path(shop.namespace, "way"))["rules"]
    named = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [*secrets], "verbs": ["get"]}
    shop.api.put(ROLES, "way", shop.namespace, rules=[*rules, named, MAY_TELL])


@pytest.fixture
def app(shop: Shop) -> Iterator[TlsApp]:
    """In place of one endpoint of `pay`, which is the only one from now on."""
    former = shop.members[0]
    former.stop()
    host = f"pay.{shop.namespace}.svc.cluster.local"
    made = TlsApp(context(CA.leaf("", names=[host]), clients=CA.pem), serve_name)
    endpoint = Scripted("pay-tls", former.ip, former.port)
    endpoint.handler = made
    endpoint.start()
    shop.put_endpoints([former])
    yield made
    endpoint.stop()


def status(replica: Replica, shop: Shop) -> int:
    return get(replica.port, "/", f"pay.{shop.namespace}")[0]


def seen(replica: Replica, shop: Shop, app: TlsApp, leaf: Leaf) -> bool:
    """Whether requests are answered, and the endpoint is shown this certificate."""
    return status(replica, shop) == 200 and app.meetings[-1].client == f"{leaf.certificate.serial_number:x}"


def test_a_secret_is_got_by_its_name_and_followed(shop: Shop, app: TlsApp) -> None:
    first, second = CA.leaf("", names=["one"]), CA.leaf("", names=["two"])
    tls = {"mode": "MUTUAL", "credentialName": "ours"}
    shop.api.put(RULES, "rule", shop.namespace, spec={"host": "pay", "trafficPolicy": {"tls": tls}})
    with shop.replica(config=shop.grant()) as replica:
        errors = replica.waypoint.errors
        assert status(replica, shop) == 503
        wait_until(lambda: "resourceNames: [ours], verbs: [get]" in errors(), 10, "the right that it takes")
        put_pair(shop, first)
        allow(shop, "ours", "ours-cacert")
        wait_until(lambda: seen(replica, shop, app, first), 20, "the Secret is in force")
        put_pair(shop, second)
        wait_until(lambda: seen(replica, shop, app, second), 20, "another certificate")
        shop.api.delete(kinds.SECRETS, "ours", shop.namespace)
        wait_until(lambda: "the last good ones stay in force" in errors(), 20, "it is gone")
        assert status(replica, shop) == 200
        put_secret(shop, "ours-cacert", ca_crt=Authority(name="others").pem)
        put_pair(shop, first)
        wait_until(lambda: status(replica, shop) == 503, 20, "CAs of their own are whom endpoints are verified against")
        assert "PRIVATE" not in str(replica.info("/config_dump")) + errors()
