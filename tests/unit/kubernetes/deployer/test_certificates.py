"""Certificates that a listener names: what can be used, and what may be referred to."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.kubernetes.deployer.certificates import fault_of, permitted_of
from proxy.kubernetes.deployer.rights import rights_of
from tests.unit.kubernetes.deployer.wishes import wish

Object = dict[str, Any]
GATEWAY_API = "gateway.networking.k8s.io"


def pair() -> tuple[bytes, bytes]:
    """A certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    leaf = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    none = serialization.NoEncryption()
    return leaf, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


def secret(certificate: bytes, key: bytes) -> Object:
    return {"data": {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}}


CERTIFICATE, KEY = pair()
SECRETS: Mapping[tuple[str, str], Object] = {
    ("shop", "good"): secret(CERTIFICATE, KEY),
    ("shop", "other-key"): secret(CERTIFICATE, pair()[1]),
    ("shop", "text"): secret(b"Hello world\n", b"Hello world\n"),
    ("shop", "empty"): {},
    ("other", "good"): secret(CERTIFICATE, KEY),
}


def fault(reference: dict[str, str], grants: list[Object] | None = None) -> tuple[str, str] | None:
    listener = {"name": "web", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [reference]}}
    given = wish(listener)
    return fault_of(given.listeners[0], given, lambda *name: SECRETS.get(name), grants or [])


def grant(namespace: str = "other", sources: str = "shop", kind: str = "Gateway", **to: str) -> Object:
    source = {"group": GATEWAY_API, "kind": kind, "namespace": sources}
    target = {"group": "", "kind": "Secret", **to}
    return {"metadata": {"namespace": namespace}, "spec": {"from": [source], "to": [target]}}


def test_one_that_can_be_used() -> None:
    assert fault({"name": "good"}) is None


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"name": "gone"}, "there is no Secret shop/gone"),
        ({"name": "empty"}, "tls.crt is missing"),
        ({"name": "text"}, "must be a certificate and its key"),
        ({"name": "other-key"}, "tls.key is not the key of tls.crt"),
        ({"name": "good", "kind": "ConfigMap"}, "is not supported; use a Secret"),
        ({"name": "good", "group": "a.b"}, "is not supported; use a Secret"),
    ],
)
def test_those_that_cannot(reference: dict[str, str], said: str) -> None:
    found = fault(reference)
    assert found and found[0] == "InvalidCertificateRef" and said in found[1]


@pytest.mark.parametrize(
    ("grants", "permitted"),
    [
        ([], False),
        ([grant()], True),
        ([grant(name="good")], True),
        ([grant(name="another")], False),
        ([grant(namespace="shop")], False),
        ([grant(sources="third")], False),
        ([grant(kind="HTTPRoute")], False),
        ([grant(kind="HTTPRoute"), grant()], True),
    ],
)
def test_those_of_other_namespaces_only_where_that_permits_it(grants: list[Object], permitted: bool) -> None:
    found = fault({"name": "good", "namespace": "other"}, grants)
    assert (found is None) is permitted
    assert permitted or (found and found[0] == "RefNotPermitted")


def test_without_a_grant_nothing_is_said_of_whether_it_is_there() -> None:
    there, gone = (fault({"name": name, "namespace": "other"}) for name in ("good", "gone"))
    assert there and gone and there[1].replace("good", "") == gone[1].replace("gone", "")


def test_which_secrets_a_waypoint_may_read() -> None:
    """Those that its HTTPS listeners may refer to, by name; of a listener that is not served none."""
    references = [{"name": "mine"}, {"name": "good", "namespace": "other"}, {"name": "map", "kind": "ConfigMap"}]
    listener = {"name": "web", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": references}}
    verified = {"frontend": {"default": {"validation": {"caCertificateRefs": [{"name": "cas"}]}}}}
    assert permitted_of(wish(listener), []) == {"shop": {"mine"}}
    assert permitted_of(wish(listener), [grant()]) == {"shop": {"mine"}, "other": {"good"}}
    assert permitted_of(wish(listener, tls=verified), [grant()]) == {}
    roles = {
        each["metadata"]["namespace"]: each["rules"]
        for each in rights_of(wish(listener), certificates=permitted_of(wish(listener), [grant()]))
        if each["kind"] == "Role"
    }
    named = {
        namespace: [rule["resourceNames"] for rule in rules if rule["resources"] == ["secrets"]]
        for namespace, rules in roles.items()
    }
    assert named == {"shop": [["mine"]], "istio-system": [], "other": [["good"]]}
    assert roles["other"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["good"], "verbs": ["get"]}
    ]
