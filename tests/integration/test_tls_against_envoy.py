"""TLS to endpoints beside Envoy, configured as istiod does for the same rule: what the endpoint sees of both, and what
clients get from both. Where they differ docs/differences.md says so."""

import contextlib
import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.certificates import Authority, Leaf
from tests.hbone import envoy
from tests.hbone.envoy import Envoy
from tests.integration.hbone_rig import serve_name
from tests.integration.http_rig import Bench, Scripted, bench, unique
from tests.integration.tls_rig import Files, Hello, TlsApp, context, tls_rule
from tests.integration.tls_rows import h2_inside, plain
from tests.rig import free_port, wait_until

Json = dict[str, Any]
NAME = "api.example"
CA, OTHERS = Authority(name="endpoints"), Authority(name="strangers")
OURS, THEIRS = CA.leaf("", names=["waypoint.example"]), CA.leaf("", names=[NAME])
GONE = CA.leaf("", names=[NAME])
EXPIRED = CA.leaf("", names=[NAME], starts=-7200, lasts=-3600)


@dataclass(frozen=True)
class Case:
    """`more` is the rule's besides SIMPLE with `sni` and `caCertificates`. `clients`: CAs that the endpoint demands one
    of. `envoys`: its response flags, if they are not ours."""

    more: Json = field(default_factory=dict)
    leaf: Leaf = field(default_factory=lambda: THEIRS)
    clients: bytes = b""
    fails: bool = False
    http2: bool = False
    clear: bool = False
    envoys: str = ""


ROWS = {
    "simple": Case(),
    "subjectAltNames": Case({"subjectAltNames": [NAME]}),
    "mutual": Case({"mode": "MUTUAL"}, clients=CA.pem),
    "certificate not asked for": Case({"mode": "MUTUAL"}),
    "insecureSkipVerify": Case({"insecureSkipVerify": True}, leaf=OTHERS.leaf("", names=["wrong.example"])),
    "wrong name": Case({"subjectAltNames": ["right.example"]}, fails=True),
    "wrong CA": Case(leaf=OTHERS.leaf("", names=[NAME]), fails=True),
    "expired": Case(leaf=EXPIRED, fails=True),
    "caCrl, revoked": Case({"caCrl": "crl.pem"}, leaf=GONE, fails=True),
    "caCrl, not revoked": Case({"caCrl": "crl.pem"}),
    "client certificate missing": Case(clients=CA.pem, fails=True, envoys="UC"),
    "client certificate unknown": Case({"mode": "MUTUAL"}, clients=OTHERS.pem, fails=True, envoys="UC"),
    "no TLS at all": Case(fails=True, clear=True),
    "h2": Case(http2=True),
}


def services() -> dict[str, Case]:
    return {f"row{number}": case for number, case in enumerate(ROWS.values())}


def rule(name: str, case: Case, files: Files) -> Json:
    tls: Json = {"mode": "SIMPLE", "sni": NAME, "caCertificates": files.of("ca.pem")} | case.more
    if tls["mode"] == "MUTUAL":
        tls |= {"clientCertificate": files.of("ours.pem"), "privateKey": files.of("ours-key.pem")}
    if "caCrl" in tls:
        tls["caCrl"] = files.of("crl.pem")
    if tls.get("insecureSkipVerify"):
        del tls["caCertificates"]
    return tls_rule(name, tls, {"h2UpgradePolicy": "UPGRADE"} if case.http2 else None)


def upstream(tls: Json) -> Json:
    """The UpstreamTlsContext that istiod makes of a rule's `tls` (cluster_tls.go, constructUpstreamTLS)."""
    params = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
    common: Json = {"tls_params": params}
    if tls["mode"] == "MUTUAL":
        pair = {"certificate_chain": "clientCertificate", "private_key": "privateKey"}
        common["tls_certificates"] = [{name: {"filename": tls[given]} for name, given in pair.items()}]
    if "caCertificates" in tls:
        validation: Json = {"trusted_ca": {"filename": tls["caCertificates"]}}
        names = tls.get("subjectAltNames", ())
        kinds = [{"san_type": "DNS", "matcher": {"exact": name}} for name in names]
        validation |= {"match_typed_subject_alt_names": kinds} if kinds else {}
        validation |= {"crl": {"filename": tls["caCrl"]}} if "caCrl" in tls else {}
        common["validation_context"] = validation
    return {"common_tls_context": common, "sni": tls["sni"]}


def configuration(ports: dict[str, int], proxy: Bench, rules: dict[str, Json]) -> Json:
    """A listener for each Service."""
    listeners, clusters = [], []
    for name, port in ports.items():
        policy, endpoint = rules[name]["spec"]["trafficPolicy"], proxy.services[name][0]
        http2 = "http" in policy["connectionPool"]
        tls = upstream(policy["tls"])
        tls["common_tls_context"] |= {"alpn_protocols": ["h2"]} if http2 else {}
        clusters.append(envoy.cluster(name, (endpoint.ip, endpoint.port), tls, http2=http2))
        listeners.append(envoy.listener(port, name))
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


@dataclass
class Beside:
    """Both, in front of the same endpoints."""

    ours: Bench
    envoys: Envoy
    ports: dict[str, int]

    def ask_envoy(self, name: str, path: str) -> tuple[int, str]:
        """The status, and the response flags in its log."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"host": name})
            status = connection.getresponse().status
        line = wait_until(lambda: self.envoys.lines(f" {path} "), 5, "Envoy's line")[0]
        return status, line.split()[2]

    def ask_us(self, name: str, path: str) -> tuple[int, str]:
        with self.ours.client() as client:
            status = client.ask(name, path)[0].status
        return status, self.ours.line(f" {path} ")["flags"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    files = Files(tmp_path_factory.mktemp("credentials"))
    for name, content in (("ca", CA.pem), ("ours", OURS.chain), ("ours-key", OURS.key), ("crl", CA.revoked(GONE))):
        files.put(f"{name}.pem", content)
    rules = {name: rule(name, case, files) for name, case in services().items()}
    directory = tmp_path_factory.mktemp("beside")
    with bench(directory / "ours", services=dict.fromkeys(rules, 1), rules=[*rules.values()]) as proxy:
        ports = {name: free_port() for name in rules}
        with envoy.running(directory, "envoy", configuration(ports, proxy, rules)) as running:
            yield Beside(proxy, running, ports)


@pytest.mark.parametrize("name", services(), ids=[f"1.5 tls {row} as Envoy" for row in ROWS])
def test_row(name: str, both: Beside) -> None:
    case = services()[name]
    serve = plain if case.clear else h2_inside if case.http2 else serve_name
    app = TlsApp(context(case.leaf, case.clients, ["h2"] if case.http2 else ()), serve)
    endpoint: Scripted = both.ours.play(name, plain if case.clear else app)
    path = unique()
    theirs = both.ask_envoy(name, path)
    seen, met = list(app.hellos), list(app.meetings)
    endpoint.play(plain if case.clear else app)
    app.hellos.clear()
    app.meetings.clear()
    ours = both.ask_us(name, path)
    if case.fails:
        assert ours == (503, "UF")
        assert theirs == (503, case.envoys or "UF")
        return
    assert (ours, theirs) == ((200, "-"), (200, "-"))
    assert app.hellos == [Hello(NAME, ("h2", "http/1.1") if case.http2 else ("http/1.1",))]
    assert seen == [Hello(NAME, ("h2",) if case.http2 else ("http/1.1",))]
    assert [(each.protocol, each.version, each.client) for each in app.meetings] == [
        (each.protocol, each.version, each.client) for each in met
    ]
