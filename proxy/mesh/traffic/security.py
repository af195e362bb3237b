"""How connections to endpoints begin: `trafficPolicy.tls` (ClientTLSSettings), `tunnel` and `proxyProtocol`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TlsMode(StrEnum):
    """`tls.mode`. ISTIO_MUTUAL is what HBONE is."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What TLS to endpoints is made with: our certificate and key (`mutual`), and what endpoints' certificates are
    verified against, unless they are not at all. Files by path, or a Secret by name; without both the system's CAs.
    `serving`: it is for a listener's clients, and the Secret is named "namespace/name"."""

    mutual: bool
    verifies: bool
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    serving: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Of all files that are named."""
        return tuple(filter(None, (self.client_certificate, self.private_key, self.ca_certificates, self.ca_crl)))

    @property
    def name(self) -> str:
        """What it is called where it travels: the same for the same, whichever rule asks for it."""
        parts = {
            "clientCertificate": self.client_certificate,
            "privateKey": self.private_key,
            "caCertificates": self.ca_certificates,
            "caCrl": self.ca_crl,
            "credentialName": self.credential_name,
        }
        said = [f"{field}={value}" for field, value in parts.items() if value]
        if self.serving:
            return f"certificateRefs={self.credential_name}"
        return " ".join(["MUTUAL" if self.mutual else "SIMPLE", *said, *([] if self.verifies else ["unverified"])])


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """`tls`; "" is what is not said. Files by path, or a Secret (`credential_name`)."""

    mode: TlsMode = TlsMode.DISABLE
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool = False

    @property
    def credential(self) -> Credential | None:
        """None: endpoints are sent no TLS of ours."""
        if self.mode not in (TlsMode.SIMPLE, TlsMode.MUTUAL):
            return None
        mutual, verifies = self.mode is TlsMode.MUTUAL, not self.insecure_skip_verify
        return Credential(
            mutual=mutual,
            verifies=verifies,
            client_certificate=self.client_certificate if mutual else "",
            private_key=self.private_key if mutual else "",
            ca_certificates=self.ca_certificates if verifies else "",
            ca_crl=self.ca_crl if verifies else "",
            credential_name=self.credential_name,
        )

    def names(self, host: str) -> tuple[str, ...]:
        """One of which an endpoint's certificate must have; () for any, as Istio has it for a `sni` without
        `subjectAltNames`. `host`: the Service's."""
        if self.insecure_skip_verify:
            return ()
        return self.subject_alt_names or (() if self.sni else (host,))


CONNECT = "CONNECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """`tunnel`: TCP through an HTTP proxy."""

    target_host: str
    target_port: int
    protocol: str = CONNECT


class ProxyProtocolVersion(StrEnum):
    """`proxyProtocol.version`."""

    V1 = "V1"
    V2 = "V2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocol:
    """`proxyProtocol`: the client's address before the first bytes."""

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1
