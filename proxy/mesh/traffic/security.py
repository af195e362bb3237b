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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """`tunnel`: TCP through an HTTP proxy."""

    target_host: str
    target_port: int
    protocol: str = "CONNECT"


class ProxyProtocolVersion(StrEnum):
    """`proxyProtocol.version`."""

    V1 = "V1"
    V2 = "V2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocol:
    """`proxyProtocol`: the client's address before the first bytes."""

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1
