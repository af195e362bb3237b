"""TLS of a Gateway's own listeners: `spec.listeners[].tls` (Gateway API, ListenerTLSConfig), and what `spec.tls`
(GatewayTLSConfig) asks of their clients."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.mesh.kinds import patterns
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.schema import At, anything, filled, items, one_of, port_number, text

TERMINATE, PASSTHROUGH = "Terminate", "Passthrough"
VALIDATION = "client certificates are not verified by this version (frontend validation)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRef:
    """One of `certificateRefs`. `namespace` "": the Gateway's."""

    group: str = optional(text, "")
    kind: str = optional(filled, "Secret")
    namespace: str = optional(patterns.namespace, "")
    name: str = required(filled)

    @property
    def wrong(self) -> str:
        """Why it can be no certificate's; "" if it may be."""
        if (self.group, self.kind) == ("", "Secret"):
            return ""
        return f"InvalidCertificateRef: {self.kind} of group {self.group!r} is not supported; use a Secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTls:
    """`tls` of a listener."""

    mode: str = optional(one_of(TERMINATE, PASSTHROUGH), TERMINATE)
    certificate_refs: tuple[CertificateRef, ...] = optional(items(struct(CertificateRef, closed=False)), ())
    frontend_validation: object = optional(anything, None)
    """Where it stood before v1.4 of the API."""
    options: object = optional(anything, None)


NO_TLS = ListenerTls(mode=TERMINATE, certificate_refs=(), frontend_validation=None, options=None)


def _options_unread(at: At, found: ListenerTls) -> None:
    if found.options:
        at.down("options").warn("does nothing: no option is known in this version")


listener_tls = struct(ListenerTls, rules=(_options_unread,), closed=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frontend:
    validation: object = optional(anything, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PortFrontend:
    port: int = required(port_number)
    tls: _Frontend | None = optional(struct(_Frontend, closed=False), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frontends:
    default: _Frontend | None = optional(struct(_Frontend, closed=False), None)
    per_port: tuple[_PortFrontend, ...] = optional(items(struct(_PortFrontend, closed=False)), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTls:
    """`spec.tls`."""

    frontend: _Frontends | None = optional(struct(_Frontends, closed=False), None)
    backend: object = optional(anything, None)

    def validates(self, port: int) -> bool:
        """Whether the clients of a port's HTTPS listeners must have certificates. What is said of the port counts."""
        if self.frontend is None:
            return False
        asked = {each.port: each.tls for each in self.frontend.per_port}.get(port, self.frontend.default)
        return asked is not None and asked.validation is not None


def _backend_unread(at: At, found: GatewayTls) -> None:
    if found.backend:
        at.down("backend").warn("does nothing: TLS to endpoints is trafficPolicy.tls of DestinationRules")


gateway_tls = struct(GatewayTls, rules=(_backend_unread,), closed=False)


def unserved(mode: str, certified: bool, validates: bool) -> str:
    """Why a listener of HTTPS is not opened as it asks for it, "" if it is. `certified`: it names certificates;
    `validates`: its clients must have some."""
    if mode != TERMINATE:
        return f"tls.mode {mode} is not served by this version; use {TERMINATE}"
    if validates:
        return VALIDATION
    return "" if certified else "tls.certificateRefs names no certificate"
