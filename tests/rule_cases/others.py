"""Table 1.5: the other members."""

from __future__ import annotations

from typing import Any

from proxy.mesh.traffic.policy import RetryBudget
from proxy.mesh.traffic.security import ProxyProtocolVersion, TlsMode, Tunnel
from tests.rule_cases.cases import BETWEEN, BOOLEAN, TEXT, TLS, TOGETHER, UNKNOWN, UNREAD, rows


def _tls(said: Any, **settings: object) -> tuple[dict[str, object], Any]:
    return {"mode": "SIMPLE", **settings}, said


OTHERS = [
    *rows(
        "1.5 tls",
        f"{TLS}.mode",
        "tls.mode",
        good=[("DISABLE", TlsMode.DISABLE), ("SIMPLE", TlsMode.SIMPLE), ("ISTIO_MUTUAL", TlsMode.ISTIO_MUTUAL)],
        bad=[("STRICT", "must be one of"), (1, "must be one of")],
    ),
    *rows("1.5 tls", TLS, "tls.sni", [_tls("a.b", sni="a.b")]),
    *rows("1.5 tls", TLS, "tls.subject_alt_names", [_tls(("a.b", "c"), subjectAltNames=["a.b", "c"])]),
    *rows("1.5 tls", TLS, "tls.ca_certificates", [_tls("/ca.pem", caCertificates="/ca.pem", caCrl="/crl.pem")]),
    *rows("1.5 tls", TLS, "tls.ca_crl", [_tls("/crl.pem", caCertificates="/ca.pem", caCrl="/crl.pem")]),
    *rows(
        "1.5 tls",
        TLS,
        "tls.credential_name",
        good=[
            _tls("mine", credentialName="mine", mode="MUTUAL"),
            _tls("configmap://shop/ca", credentialName="configmap://shop/ca"),
        ],
    ),
    *rows("1.5 tls", TLS, "tls.insecure_skip_verify", [_tls(True, insecureSkipVerify=True)]),
    *rows(
        "1.5 tls",
        TLS,
        "tls.client_certificate",
        [_tls("/c.pem", mode="MUTUAL", clientCertificate="/c.pem", privateKey="/k.pem")],
    ),
    *rows(
        "1.5 tls",
        TLS,
        "tls.private_key",
        [_tls("/k.pem", mode="MUTUAL", clientCertificate="/c.pem", privateKey="/k.pem")],
    ),
    *rows(
        "1.5 tls",
        TLS,
        bad=[
            _tls(TEXT, sni=1),
            _tls("must be a list", subjectAltNames="a"),
            _tls(BOOLEAN, insecureSkipVerify="true"),
            _tls(UNKNOWN, certificate="a"),
        ],
        webhook=[
            _tls("clientCertificate: is required", mode="MUTUAL", privateKey="/k.pem"),
            _tls("privateKey: is required", mode="MUTUAL", clientCertificate="/c.pem"),
            _tls(f"{TOGETHER} with credentialName", credentialName="a", caCertificates="b"),
            _tls(f"{TOGETHER} with credentialName", credentialName="a", caCrl="b"),
            _tls(f"{TOGETHER} with credentialName", mode="MUTUAL", credentialName="a", clientCertificate="b"),
            _tls(f"{TOGETHER} with credentialName", mode="MUTUAL", credentialName="a", privateKey="b"),
            _tls(f"{TOGETHER} with insecureSkipVerify", insecureSkipVerify=True, caCertificates="a"),
            _tls(f"{TOGETHER} with insecureSkipVerify", insecureSkipVerify=True, credentialName="a"),
            _tls(f"{TOGETHER} with insecureSkipVerify", insecureSkipVerify=True, subjectAltNames=["a"]),
            _tls("of the rule's own namespace", credentialName="configmap://else/a"),
            _tls("of the rule's own namespace", credentialName="configmap://"),
            _tls("of the rule's own namespace", credentialName="configmap://ca"),
        ],
    ),
    *rows(
        "1.5 portLevelSettings",
        "trafficPolicy.portLevelSettings",
        "connection_pool.tcp.connect_timeout_ms",
        good=[
            ([{"port": {"number": 80}, "connectionPool": {"tcp": {"connectTimeout": "2s"}}}], 2000),
            ([{"port": {"number": 81}, "connectionPool": {"tcp": {"connectTimeout": "2s"}}}], 1000),
            ([{"port": {"number": 80}, "tls": {}}, {"port": {"number": 80}, "tls": {}}], UNREAD),
        ],
        bad=[
            ({}, "must be a list"),
            ([None], "portLevelSettings[0]: is empty"),
            ([{"port": {"number": -1}, "tls": {}}], BETWEEN),
            ([{"port": {"name": "http"}, "tls": {}}], UNKNOWN),
            ([{"port": {"number": 80}, "portLevelSettings": []}], UNKNOWN),
            ([{"port": {"number": 80}, "tunnel": {"targetHost": "a", "targetPort": 1}}], UNKNOWN),
            ([{"port": {"number": 80}, "outlierDetection": {"interval": 1}}], "outlierDetection.interval: must be"),
        ],
        webhook=[
            ([{"outlierDetection": {}}], "portLevelSettings[0].port: is required"),
            ([{"port": {"number": 80}}], "portLevelSettings[0]: sets nothing"),
            ([], "trafficPolicy: sets nothing"),
        ],
    ),
    *rows(
        "1.5 tunnel",
        "trafficPolicy.tunnel",
        "tunnel",
        good=[
            ({"targetHost": "a.b", "targetPort": 443}, Tunnel(target_host="a.b", target_port=443)),
            (
                {"protocol": "POST", "targetHost": "10.0.0.1", "targetPort": 1},
                Tunnel(target_host="10.0.0.1", target_port=1, protocol="POST"),
            ),
            ({"targetHost": "fd00::1", "targetPort": 1}, UNREAD),
        ],
        bad=[
            ({"targetPort": 1}, "tunnel.targetHost: is required"),
            ({"targetHost": "a"}, "tunnel.targetPort: is required"),
            ({"targetHost": "a", "targetPort": -1}, BETWEEN),
        ],
        webhook=[
            ({"targetHost": "a", "targetPort": 0}, BETWEEN),
            ({"targetHost": "a", "targetPort": 65536}, BETWEEN),
            ({"protocol": "GET", "targetHost": "a", "targetPort": 1}, "must be one of CONNECT, POST"),
            ({"targetHost": "*.a", "targetPort": 1}, "must be a host name or an IP address"),
        ],
    ),
    *rows(
        "1.5 proxyProtocol",
        "trafficPolicy.proxyProtocol",
        "proxy_protocol.version",
        good=[
            ({"version": "V1"}, ProxyProtocolVersion.V1),
            ({"version": "V2"}, ProxyProtocolVersion.V2),
            ({}, ProxyProtocolVersion.V1),
        ],
        bad=[({"version": "V3"}, "must be one of V1, V2"), ({"version": 2}, "must be one of V1, V2")],
    ),
    *rows(
        "1.5 retryBudget",
        "trafficPolicy.retryBudget",
        "retry_budget",
        good=[
            ({}, RetryBudget()),
            (
                {"percent": 12.5, "minRetryConcurrency": 1, "budgetInterval": "1s"},
                RetryBudget(percent=12.5, min_retry_concurrency=1, budget_interval_ms=1000),
            ),
            ({"percent": 100, "budgetInterval": "0s"}, RetryBudget(percent=100)),
        ],
        bad=[({"percent": 101}, BETWEEN), ({"percent": -1}, BETWEEN), ({"minRetryConcurrency": -1}, BETWEEN)],
    ),
]
