"""ServiceEntries and WorkloadEntries, valid and not, field by field, and samples of Istio's. A case's id begins with
its field. tests/unit/mesh/test_entry_cases.py reads them as files, tests/cluster/test_cases.py puts them
before a real API server and a real istiod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]
SERVICE_ENTRY, WORKLOAD_ENTRY = "ServiceEntry", "WorkloadEntry"


@dataclass(frozen=True)
class Case:
    """`refused`: what is said of it; "" where it is valid. `stored`: whether the CRD lets it pass, which knows less
    than Istio's webhook."""

    id: str
    spec: Spec
    refused: str = ""
    stored: bool = True
    kind: str = SERVICE_ENTRY
    labels: Mapping[str, str] = field(default_factory=dict)


HTTP: Spec = {"number": 80, "name": "http", "protocol": "HTTP"}
TCP: Spec = {"number": 5432, "name": "sql", "protocol": "TCP"}
BASE: Spec = {"hosts": ["api.example.com"], "ports": [HTTP], "resolution": "DNS"}
STATIC: Spec = BASE | {"resolution": "STATIC"}
NONE: Spec = {"hosts": ["api.example.com"], "ports": [HTTP]}
DYNAMIC: Spec = BASE | {"resolution": "DYNAMIC_DNS", "hosts": ["*.example.com"]}
BETWEEN, TWICE, ALONE = "must be between 1 and 65535", "is given twice", "must stand alone"
WHOLE, TEXT, REQUIRED = "must be a whole number", "must be text", "is required"


def at(address: str, **more: Any) -> list[Spec]:
    return [{"address": address, **more}]


def good(name: str, base: Spec, **fields: Any) -> Case:
    return Case(_id(name, base, fields), base | fields)


def bad(name: str, said: str, base: Spec, **fields: Any) -> Case:
    """Refused by the CRD too."""
    return Case(_id(name, base, fields), base | fields, said, stored=False)


def webhook(name: str, said: str, base: Spec, **fields: Any) -> Case:
    """Refused by Istio's webhook, not by the CRD."""
    return Case(_id(name, base, fields), base | fields, said)


def vm(name: str, spec: Spec, said: str = "", stored: bool = True) -> Case:
    return Case(f"WorkloadEntry {name}: {_shown(spec)}", spec, said, stored, WORKLOAD_ENTRY)


def _id(name: str, base: Spec, fields: Spec) -> str:
    return f"{name} ({base.get('resolution', 'none')}): {_shown(fields)}"


def _shown(fields: Spec) -> str:
    """Of ports without what most have."""
    text = str(fields).replace("'number': 80, ", "").replace("'protocol': 'HTTP'}", "}")
    return text if len(text) < 90 else text[:87] + "..."


HOSTS = [
    *(good("hosts", BASE, hosts=[each]) for each in ("api.example.com", "API.example.com", "db", "api.example.com.")),
    *(good("hosts", NONE, hosts=each) for each in (["*.example.com"], ["*x"], ["a.example", "b.example"])),
    good("hosts", BASE, hosts=["a.example", "b.example"]),
    good("hosts", BASE, hosts=["*.example.com"], endpoints=at("a.example")),
    *(bad("hosts", said, BASE, hosts=each) for each, said in ((None, REQUIRED), ([], "must name"), ([7], TEXT))),
    bad("hosts", "must not be every host", NONE, hosts=["*"]),
    *(
        webhook("hosts", "must be a host name", NONE, hosts=[each])
        for each in ("", "a_b", "a.*.b", "foo*", "10.0.0.1", "http://a.b", "a" * 64, "a." * 130 + "b")
    ),
    webhook("hosts", "must be a whole name", BASE, hosts=["*.example.com"]),
    webhook("hosts", "must be a whole name", BASE | {"resolution": "DNS_ROUND_ROBIN"}, hosts=["*.example.com"]),
    webhook("hosts of TCP", "must be HTTP or TLS", BASE, hosts=["a.b", "c.d"], ports=[HTTP, TCP]),
    webhook("hosts of TCP", "must be HTTP or TLS", STATIC, hosts=["a.b", "c.d"], ports=[HTTP | {"protocol": ""}]),
    good("hosts of TCP", NONE, hosts=["a.b", "c.d"], ports=[TCP]),
    good("hosts of TLS", BASE, hosts=["a.b", "c.d"], ports=[TCP | {"protocol": "TLS"}, HTTP | {"protocol": "GRPC"}]),
]

ADDRESSES = [
    *(good("addresses", BASE, addresses=each) for each in ([], ["192.0.2.1"], ["fd00::1", "192.0.2.1"])),
    good("addresses", STATIC, addresses=["192.0.2.0/24"], endpoints=at("10.0.0.1")),
    *(good("addresses", NONE, addresses=[each]) for each in ("192.0.2.0/24", "192.0.2.7/24", "1.1.1.1/32", "fd00::/8")),
    bad("addresses", "must be a single address", BASE, addresses=["192.0.2.0/24"]),
    bad("addresses", TEXT, BASE, addresses=[7]),
    *(
        webhook("addresses", "must be an IP address", NONE, addresses=[each])
        for each in ("a.b", "192.0.2", "192.0.2.1/33", "192.0.2.0/24/8", "192.0.2.0/255.255.255.0", "")
    ),
]


def port(**fields: Any) -> list[Spec]:
    return [{key: value for key, value in {**HTTP, **fields}.items() if value is not None}]


PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-Web", "HTTPS", "TLS", "TCP", "UDP", "Mongo", "Redis", "MySQL", "http_proxy")
PORTS = [
    *(good("ports.number", BASE, ports=port(number=each)) for each in (1, 65535)),
    *(bad("ports.number", BETWEEN, BASE, ports=port(number=each)) for each in (0, 65536, -1)),
    *(bad("ports.number", said, BASE, ports=port(number=each)) for each, said in ((None, REQUIRED), ("80", WHOLE))),
    bad("ports.number", TWICE, BASE, ports=[HTTP, HTTP | {"name": "b"}]),
    *(good("ports.name", BASE, ports=port(name=each)) for each in ("http", "HTTP-1", "a" * 63)),
    *(
        webhook("ports.name", "must be a port's name", BASE, ports=port(name=each))
        for each in ("", "a_b", "-a", "a" * 64)
    ),
    bad("ports.name", REQUIRED, BASE, ports=port(name=None)),
    bad("ports.name", TWICE, BASE, ports=[HTTP, HTTP | {"number": 81}]),
    *(good("ports.protocol", BASE, ports=port(protocol=each)) for each in (*PROTOCOLS, "http", "", None)),
    *(webhook("ports.protocol", "is not a protocol", BASE, ports=port(protocol=each)) for each in ("QUIC", "http/2")),
    *(good("ports.targetPort", BASE, ports=port(targetPort=each)) for each in (1, 8080, 65535)),
    *(bad("ports.targetPort", BETWEEN, BASE, ports=port(targetPort=each)) for each in (0, 65536)),
    bad("ports.targetPort", WHOLE, BASE, ports=port(targetPort="http")),
    bad("ports", "is not a known field", BASE, ports=port(target=1)),
    good("ports", BASE, ports=None),
]

RESOLUTIONS = [
    good("resolution", NONE),
    good("resolution", NONE, resolution="NONE"),
    good("resolution", STATIC, endpoints=at("10.0.0.1")),
    good("resolution", STATIC),
    good("resolution", BASE),
    good("resolution", BASE, resolution="DNS_ROUND_ROBIN"),
    good("resolution", DYNAMIC),
    bad("resolution", "must be one of", BASE, resolution="ROUND_ROBIN"),
    bad("resolution NONE", "must not be given", NONE, endpoints=at("10.0.0.1")),
    bad("resolution NONE", "must not be given", NONE, endpoints=[]),
    bad(
        "resolution DNS_ROUND_ROBIN", "must be the only one", BASE, resolution="DNS_ROUND_ROBIN", endpoints=at("a") * 2
    ),
    webhook("resolution DYNAMIC_DNS", "must be a wildcard", DYNAMIC, hosts=["api.example.com"]),
    webhook("resolution DYNAMIC_DNS", "must not be given", DYNAMIC, endpoints=at("10.0.0.1")),
    webhook("resolution DYNAMIC_DNS", "must be HTTP, TLS", DYNAMIC, ports=[TCP]),
    Case(
        "resolution DYNAMIC_DNS: MESH_INTERNAL at a waypoint",
        DYNAMIC | {"location": "MESH_INTERNAL"},
        "must not be MESH_INTERNAL",
        labels={"istio.io/use-waypoint": "wp"},
    ),
    *(good("location", BASE, location=each) for each in ("MESH_EXTERNAL", "MESH_INTERNAL", None)),
    bad("location", "must be one of", BASE, location="OUTSIDE"),
]

ENDPOINTS = [
    *(
        good("endpoints.address", STATIC, endpoints=at(each))
        for each in ("10.0.0.1", "fd00::1", "unix:///run/a", "unix://@a")
    ),
    *(good("endpoints.address", BASE, endpoints=at(each)) for each in ("10.0.0.1", "a.example.com", "db")),
    good("endpoints.address", STATIC, endpoints=[{"network": "far"}]),
    webhook("endpoints.address", "must be an IP address with resolution STATIC", STATIC, endpoints=at("a.example")),
    webhook("endpoints.address", "must be an IP address or a host name", BASE, endpoints=at("a_b")),
    webhook("endpoints.address", "must be an IP address or a host name", BASE, endpoints=at("*.a.b")),
    webhook("endpoints.address", "must be an IP address or a host name", BASE, endpoints=at("unix:///run/a")),
    webhook("endpoints.address", "must be an IP address or a host name", BASE, endpoints=[{"network": "far"}]),
    bad("endpoints.address", REQUIRED, STATIC, endpoints=[{"weight": 1}]),
    *(
        bad("endpoints.address", "must be the absolute path", STATIC, endpoints=at(f"unix://{each}"))
        for each in ("a", "/a/")
    ),
    bad("endpoints.ports", "must not be given for a Unix socket", STATIC, endpoints=at("unix:///a", ports={"http": 1})),
    webhook("endpoints", "an entry with one port", STATIC, endpoints=at("unix:///a"), ports=[HTTP, TCP]),
    good("endpoints.ports", STATIC, endpoints=at("10.0.0.1", ports={"http": 8080})),
    webhook("endpoints.ports", "is not a port of the entry", STATIC, endpoints=at("10.0.0.1", ports={"web": 8080})),
    webhook("endpoints.ports", "is not a port of the entry", BASE, endpoints=at("a.b", ports={"web": 8080})),
    *(bad("endpoints.ports", BETWEEN, STATIC, endpoints=at("10.0.0.1", ports={"http": each})) for each in (0, 65536)),
    bad("endpoints.ports", "must be a port's name", STATIC, endpoints=at("10.0.0.1", ports={"a_b": 1})),
    good("endpoints.labels", STATIC, endpoints=at("10.0.0.1", labels={"app": "a", "example.com/b": ""})),
    webhook("endpoints.labels", "is not a label", STATIC, endpoints=at("10.0.0.1", labels={"a b": "c"})),
    webhook("endpoints.labels", "must be a label's value", BASE, endpoints=at("a.b", labels={"a": "b c"})),
    *(good("endpoints.weight", STATIC, endpoints=at("10.0.0.1", weight=each)) for each in (0, 1, 2**32 - 1)),
    *(
        bad("endpoints.weight", "must be between", STATIC, endpoints=at("10.0.0.1", weight=each))
        for each in (-1, 2**32)
    ),
    *(
        good("endpoints", STATIC, endpoints=at("10.0.0.1", **{each: "a"}))
        for each in ("locality", "network", "serviceAccount")
    ),
    bad("endpoints", "is not a known field", STATIC, endpoints=at("10.0.0.1", adress="x")),
    good("endpoints", BASE, resolution="DNS_ROUND_ROBIN", endpoints=at("a.example")),
]

OTHERS = [
    good("workloadSelector", STATIC, workloadSelector={"labels": {"app": "a"}}),
    *(good("workloadSelector", each, workloadSelector={}) for each in (STATIC, NONE, BASE)),
    bad("workloadSelector", "must be a label and its value", STATIC, workloadSelector={"labels": {"a": "*"}}),
    webhook("workloadSelector", "must be a label and its value", STATIC, workloadSelector={"labels": {"*": "a"}}),
    bad("workloadSelector", "cannot be used together", STATIC, workloadSelector={}, endpoints=at("10.0.0.1")),
    *(good("exportTo", BASE, exportTo=each) for each in ([], ["."], ["*"], ["~"], ["a", "b"], [".", "a"])),
    *(
        webhook("exportTo", said, BASE, exportTo=each)
        for each, said in (
            (["a", "a"], TWICE),
            ([".", "shop"], TWICE),
            (["*", "a"], ALONE),
            (["a", "~"], ALONE),
            (["a.b"], "must be a namespace"),
            ([""], "must be a namespace"),
        )
    ),
    *(good("subjectAltNames", BASE, subjectAltNames=each) for each in ([], ["spiffe://a/b"], ["a.b", "c"])),
    bad("subjectAltNames", TEXT, BASE, subjectAltNames=[7]),
    bad("spec", "is not a known field", BASE, host="a.b"),
    # Istio's own (pkg/config/validation/testdata/crds, networking/v1alpha3/service_entry.proto).
    Case(
        "sample: full",
        {
            "hosts": ["example.com"],
            "workloadSelector": {"labels": {"foo": "bar"}},
            "addresses": ["1.2.3.4", "001:db8::"],
            "exportTo": ["foo", "."],
            "location": "MESH_EXTERNAL",
            "ports": [{"name": "foo", "protocol": "HTTP", "number": 1234, "targetPort": 2345}],
            "subjectAltNames": ["sa"],
            "resolution": "DNS",
        },
    ),
    Case("sample: none-cidr", {"hosts": ["example.com"], "addresses": ["1.1.1.1/32"]}),
    Case("sample: empty-selector", {"hosts": ["example.com"], "workloadSelector": {}}),
    Case(
        "sample: mongo",
        {
            "hosts": ["mymongodb.somedomain"],
            "addresses": ["192.192.192.192/24"],
            "ports": [{"number": 27018, "name": "mongodb", "protocol": "MONGO"}],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "endpoints": [*at("2.2.2.2"), *at("3.3.3.3")],
        },
    ),
    Case(
        "sample: endpoints in regions",
        {
            "hosts": ["foo.bar.com"],
            "location": "MESH_EXTERNAL",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "DNS",
            "endpoints": [
                *at("us.foo.bar.com", ports={"http": 8080}, locality="us"),
                *at("uk.foo.bar.com", ports={"http": 9080}, weight=20),
            ],
        },
    ),
]

VMS = [
    *(
        vm("address", {"address": each})
        for each in ("10.0.0.1", "fd00::1", "vm.example.com", "unix:///run/a", "unix://@a")
    ),
    vm("address", {"network": "far"}),
    vm("address", {"address": "10.0.0.1", "network": "far"}),
    vm("address", {"labels": {"app": "a"}}, REQUIRED, stored=False),
    *(vm("address", {"address": each}, "must be an IP address or a host name") for each in ("10.0.0", "a_b", "*.a.b")),
    *(vm("address", {"address": f"unix://{each}"}, "must be the absolute path", False) for each in ("a", "/a/")),
    vm("ports", {"address": "unix:///a", "ports": {"http": 1}}, "must not be given", stored=False),
    vm("ports", {"address": "10.0.0.1", "ports": {"http": 1, "b": 65535}}),
    *(vm("ports", {"address": "10.0.0.1", "ports": {"http": each}}, BETWEEN, stored=False) for each in (0, 65536)),
    vm("ports", {"address": "10.0.0.1", "ports": {"a_b": 1}}, "must be a port's name", stored=False),
    vm("labels", {"address": "10.0.0.1", "labels": {"app": "a", "example.com/b": ""}}),
    vm("labels", {"address": "10.0.0.1", "labels": {"a b": "c"}}, "is not a label"),
    vm("labels", {"address": "10.0.0.1", "labels": {"a": "b c"}}, "must be a label's value"),
    *(vm("weight", {"address": "10.0.0.1", "weight": each}) for each in (0, 2**32 - 1)),
    *(vm("weight", {"address": "10.0.0.1", "weight": each}, "must be between", False) for each in (-1, 2**32)),
    vm("serviceAccount", {"address": "10.0.0.1", "serviceAccount": "a"}),
    vm("locality", {"address": "10.0.0.1", "locality": "a/b/c"}),
    vm("locality", {"address": "10.0.0.1", "locality": 7}, TEXT, stored=False),
    vm("spec", {"adress": "10.0.0.1"}, "is not a known field", stored=False),
]

CASES = [*HOSTS, *ADDRESSES, *PORTS, *RESOLUTIONS, *ENDPOINTS, *OTHERS, *VMS]
