"""The fields of `trafficPolicy.tls`, `tunnel` and `proxyProtocol`; rules of Istio's `ValidateTLS` and
`validateTunnelSettings`.
"""

from __future__ import annotations

from proxy.mesh.kinds.names import whole_host
from proxy.mesh.kinds.secrets import CONFIG_MAP
from proxy.mesh.reading.records import built
from proxy.mesh.reading.schema import At, boolean, choice, items, one_of, port_number, text
from proxy.mesh.traffic.security import ClientTls, ProxyProtocol, ProxyProtocolVersion, TlsMode, Tunnel

_OWN_TLS = (TlsMode.SIMPLE, TlsMode.MUTUAL)


def _credential(at: At, found: ClientTls) -> None:
    """A Secret stands in for all files."""
    if found.mode in _OWN_TLS and found.credential_name:
        files = {
            "clientCertificate": found.client_certificate,
            "privateKey": found.private_key,
            "caCertificates": found.ca_certificates,
            "caCrl": found.ca_crl,
        }
        for name in [name for name, given in files.items() if given][:1]:
            at.down(name).fault("cannot be used together with credentialName, which stands for all files")


def _own_certificate(at: At, found: ClientTls) -> None:
    if found.mode is TlsMode.MUTUAL and not found.credential_name:
        for name, given in (("clientCertificate", found.client_certificate), ("privateKey", found.private_key)):
            if not given:
                at.down(name).fault("is required with mode MUTUAL, unless there is a credentialName")


def _unverified(at: At, found: ClientTls) -> None:
    if found.insecure_skip_verify and found.mode in _OWN_TLS:
        given: dict[str, object] = {"caCertificates": found.ca_certificates, "subjectAltNames": found.subject_alt_names}
        if found.mode is TlsMode.SIMPLE:
            given["credentialName"] = found.credential_name
        for name, value in given.items():
            if value:
                at.down(name).fault("cannot be used together with insecureSkipVerify: nothing would be verified by it")


def _unnamed(at: At, found: ClientTls) -> None:
    if found.mode in _OWN_TLS and found.sni and not found.subject_alt_names and not found.insecure_skip_verify:
        text = "without subjectAltNames no name is verified, as in Istio: any certificate of the CAs will do; add them"
        at.down("sni").warn(text)


def _own_config_map(at: At, found: ClientTls) -> None:
    if found.credential_name.startswith(CONFIG_MAP):
        namespace, _, name = found.credential_name.removeprefix(CONFIG_MAP).partition("/")
        if not name or namespace != at.manifest.namespace:
            said = f"must be configmap://{at.manifest.namespace}/NAME: of the rule's own namespace"
            at.down("credentialName").fault(said)


client_tls = built(
    ClientTls,
    {
        "mode": choice(TlsMode),
        "clientCertificate": text,
        "privateKey": text,
        "caCertificates": text,
        "caCrl": text,
        "credentialName": text,
        "subjectAltNames": items(text),
        "sni": text,
        "insecureSkipVerify": boolean,
    },
    rules=(_credential, _own_certificate, _unverified, _unnamed, _own_config_map),
)

tunnel = built(Tunnel, {"protocol": one_of("CONNECT", "POST"), "targetHost": whole_host, "targetPort": port_number})

proxy_protocol = built(ProxyProtocol, {"version": choice(ProxyProtocolVersion)})
