"""HTTPS listeners of the Gateway: which certificates are shown to whom, and what is not opened."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Listener, Snapshot, Termination
from proxy.mesh.resolving.credentials import wanted
from tests.unit.mesh.mesh_rig import Object, gateway, listener, loaded, namespace, service, thing, warnings
from tests.unit.mesh.route_rig import CART, TO_GATEWAY, filtered, http

CERT = {"name": "cert"}
VALIDATION = {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "cas"}]}}


def https(name: str = "web", hostname: str = "", port: int = 443, protocol: str = "HTTPS", **tls: Any) -> Object:
    made = {"certificateRefs": [CERT]} | tls
    return listener(name, port, protocol, tls=made, **({"hostname": hostname} if hostname else {}))


def grant(name: str = "") -> Object:
    """Of namespace certs, for Gateways of shop."""
    source = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop"}
    to = {"group": "", "kind": "Secret"} | ({"name": name} if name else {})
    return thing(
        "ReferenceGrant", "gateway.networking.k8s.io/v1beta1", "g", "certs", spec={"from": [source], "to": [to]}
    )


def secret(name: str, ns: str) -> Object:
    return thing("Secret", "v1", name, ns, stringData={"tls.crt": f"of {ns}", "tls.key": "k"})


def found(*doors: Object, beside: tuple[Object, ...] = (), **spec: Any) -> Snapshot:
    mine = gateway(*doors)
    mine["spec"] |= spec
    result = loaded(namespace(), mine, service(), *beside)
    assert result.snapshot, [str(each) for each in result.faults]
    return result.snapshot


def opened(snapshot: Snapshot, port: int = 443) -> Listener | None:
    return next((each for each in snapshot.listeners if each.port == port), None)


def test_listeners_of_a_port_are_told_apart_by_hostname() -> None:
    snapshot = found(https(), https("b", "*.B.example", certificateRefs=[{"name": "b"}]), https("c", "c.b.example"))
    made = opened(snapshot)
    assert made and made.protocol == "HTTPS"
    assert made.tls == (
        Termination("", ("certificateRefs=shop/cert",)),
        Termination("*.b.example", ("certificateRefs=shop/b",)),
        Termination("c.b.example", ("certificateRefs=shop/cert",)),
    )
    asked = {name: where for name, (_, where) in wanted(snapshot).items()}
    assert asked == {
        "certificateRefs=shop/cert": "Gateway shop/wp: spec.listeners[0].tls",
        "certificateRefs=shop/b": "Gateway shop/wp: spec.listeners[1].tls",
    }


def test_what_another_port_shows_is_its_own() -> None:
    snapshot = found(https(), https("other", port=8443, certificateRefs=[{"name": "b"}]))
    (first, second) = (opened(snapshot, port) for port in (443, 8443))
    assert first and second
    assert [each.credentials for each in (*first.tls, *second.tls)] == [
        ("certificateRefs=shop/cert",),
        ("certificateRefs=shop/b",),
    ]


@pytest.mark.parametrize(
    ("grants", "permitted"), [((), False), ((grant(),), True), ((grant("cert"),), True), ((grant("other"),), False)]
)
def test_a_secret_of_another_namespace_takes_a_grant(grants: tuple[Object, ...], permitted: bool) -> None:
    door = https(certificateRefs=[{"name": "cert", "namespace": "certs"}])
    beside = (*grants, secret("cert", "certs"), secret("cert", "shop"))
    snapshot = found(door, beside=beside)
    made = opened(snapshot)
    assert made and made.tls == (Termination("", ("certificateRefs=certs/cert",) if permitted else ()),)
    assert snapshot.secrets["certs/cert"]["tls.crt"] == b"of certs"
    assert snapshot.secrets["shop/cert"]["tls.crt"] == b"of shop"
    said = "\n".join(loaded(namespace(), gateway(door), service(), *beside).warnings)
    assert ("spec.listeners[0].tls.certificateRefs[0]: RefNotPermitted" in said) is not permitted


@pytest.mark.parametrize(
    ("door", "spec", "said"),
    [
        (https(mode="Passthrough"), {}, "tls.mode Passthrough is not served by this version; use Terminate"),
        (https(certificateRefs=[]), {}, "tls.certificateRefs names no certificate"),
        (https(frontendValidation={"caCertificateRefs": []}), {}, "client certificates are not verified"),
        (https(), {"tls": {"frontend": {"default": VALIDATION}}}, "client certificates are not verified"),
        (
            https(),
            {"tls": {"frontend": {"default": {}, "perPort": [{"port": 443, "tls": VALIDATION}]}}},
            "client certificates are not verified",
        ),
    ],
)
def test_what_is_not_served_is_not_opened(door: Object, spec: Object, said: str) -> None:
    assert opened(found(door, listener(), **spec)) is None
    mine = gateway(door, listener())
    mine["spec"] |= spec
    text = warnings(namespace(), mine, service())
    assert "spec.listeners[0].tls: " in text and said in text and "so nothing is served there" in text


def test_what_is_asked_of_the_clients_of_one_port_is_no_other_ports() -> None:
    asked = {"default": VALIDATION, "perPort": [{"port": 443, "tls": {}}]}
    snapshot = found(https(), https("b", port=8443), tls={"frontend": asked})
    assert opened(snapshot) and not opened(snapshot, 8443)


def test_a_name_that_is_not_served_is_nobody_elses() -> None:
    """Neither one of TLS passed through, nor one whose certificate may not be referred to."""
    far = https("far", "far.example", certificateRefs=[{"name": "cert", "namespace": "certs"}])
    made = opened(found(https(), https("tls", "tls.example", protocol="TLS", mode="Passthrough"), far))
    assert made and [(each.hostname, bool(each.credentials)) for each in made.tls] == [
        ("", True),
        ("tls.example", False),
        ("far.example", False),
    ]


def test_another_kind_of_certificate() -> None:
    door = https(certificateRefs=[{"group": "a.b", "kind": "Vault", "name": "x"}, CERT])
    made = opened(found(door))
    assert made and made.tls == (Termination("", ("certificateRefs=shop/cert",)),)
    assert "InvalidCertificateRef: Vault of group 'a.b' is not supported" in warnings(
        namespace(), gateway(door), service()
    )


def test_options_and_client_certificates_for_endpoints_do_nothing() -> None:
    mine = gateway(https(options={"a.b/c": "d"}))
    mine["spec"]["tls"] = {"backend": {"clientCertificateRef": CERT}}
    text = warnings(namespace(), mine, service())
    assert "tls.options: does nothing" in text and "spec.tls.backend: does nothing" in text


def test_services_are_not_served_there() -> None:
    """As they are on a plain listener: what reaches a waypoint's Services comes through the mesh, or in the clear."""
    made = opened(found(https(), listener()))
    assert made and made.services == {}
    assert "has no listener of HBONE or HTTP to serve it" in warnings(namespace(), gateway(https()), service())


def test_routes_attach_and_redirects_lead_back_to_https() -> None:
    redirect = {"filters": [filtered("RequestRedirect", statusCode=301)]}
    snapshot = found(https(), beside=(http("r", redirect, parents=[TO_GATEWAY], hostnames=["a.example"]),))
    routing = snapshot.clusters["shop/wp:443/a.example"].routing
    assert routing and routing.rules[0].redirect and routing.rules[0].redirect.own_scheme == "https"
    plain = found(listener(), beside=(http("r", {"backendRefs": [CART]}, parents=[TO_GATEWAY]),))
    assert "shop/wp:80/*" in plain.clusters
