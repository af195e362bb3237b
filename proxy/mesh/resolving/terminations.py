"""Which certificates the clients of a Gateway's HTTPS listeners are shown, and what is wrong with the references. Pure.

A Secret of another namespace needs a ReferenceGrant there. What may not be referred to is as if it were not there: the
listener stays, without a certificate, and its clients' handshakes fail; no other listener of the port takes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.mesh.kinds.gateways import HTTPS, TLS, Gateway, GatewayListener
from proxy.mesh.kinds.listener_tls import CertificateRef
from proxy.mesh.model import Termination
from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.route_index import RouteIndex
from proxy.mesh.traffic.security import Credential


def terminations(gateway: Gateway, port: int, routes: RouteIndex) -> tuple[Termination, ...]:
    """The listeners of a port that is opened for HTTPS, those that are not served among them."""
    those = (each for each in gateway.listeners if each.port == port and each.protocol in (HTTPS, TLS))
    return tuple(
        Termination(
            each.hostname, () if each.unserved else tuple(found.name for found, _ in _shown(gateway, each, routes))
        )
        for each in those
    )


def terminating(gateway: Gateway, routes: RouteIndex) -> dict[str, tuple[Credential, str]]:
    """By `Credential.name`: all that its listeners show, each with where the first one names it."""
    found: dict[str, tuple[Credential, str]] = {}
    for each in gateway.listeners:
        if not each.unserved:
            for credential, path in _shown(gateway, each, routes):
                where = f"Gateway {gateway.manifest.id}: {path_text(path[:-2])}"
                found.setdefault(credential.name, (credential, where))
    return found


def tell(gateway: Gateway, routes: RouteIndex, report: Report) -> None:
    """Say which references lead to nothing that may be used."""
    for each in gateway.listeners:
        for reference, path in _references(each):
            if why := _refused(gateway, reference, routes):
                report.warn(gateway.manifest, path, f"{why}, so it is shown to nobody")


def _shown(gateway: Gateway, listener: GatewayListener, routes: RouteIndex) -> Iterator[tuple[Credential, Path]]:
    for reference, path in _references(listener):
        if not _refused(gateway, reference, routes):
            name = f"{reference.namespace or gateway.manifest.namespace}/{reference.name}"
            yield Credential(mutual=True, verifies=False, credential_name=name, serving=True), path


def _references(listener: GatewayListener) -> Iterator[tuple[CertificateRef, Path]]:
    for index, each in enumerate(listener.certificates):
        yield each, ("spec", "listeners", listener.index, "tls", "certificateRefs", index)


def _refused(gateway: Gateway, reference: CertificateRef, routes: RouteIndex) -> str:
    namespace = reference.namespace or gateway.manifest.namespace
    if reference.wrong:
        return reference.wrong
    if routes.permitted(gateway.manifest, namespace, "", "Secret", reference.name):
        return ""
    asker = gateway.manifest.namespace
    return f"RefNotPermitted: no ReferenceGrant of namespace {namespace} lets Gateways of {asker} refer to it"
