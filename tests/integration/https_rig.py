"""A Gateway with HTTPS listeners, as files: four on one port, told apart by hostname, each with a Secret of its own."""

import base64
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.certificates import Authority, Leaf
from tests.hbone.http2 import Connection
from tests.integration.hbone_rig import H2, serve_name
from tests.integration.http_rig import Bench, Head, Wire, bench
from tests.manifests import gateway
from tests.rig import free_port

CA = Authority(name="clients")
NAMES = {"any": "", "second": "second.example", "wild": "*.wild.example", "deep": "deep.wild.example"}
CERTIFIED = {
    "any": ["any.example"],
    "second": ["second.example"],
    "wild": ["*.wild.example"],
    "deep": ["deep.wild.example"],
}
SERVICES = {"any": "v1", "second": "v2", "wild": "v3", "deep": "v4"}
Json = dict[str, Any]


def secret(name: str, leaf: Leaf, namespace: str = "httpbin") -> Json:
    data = {"tls.crt": base64.b64encode(leaf.chain).decode(), "tls.key": base64.b64encode(leaf.key).decode()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}


def route(name: str, listener: str, hostnames: list[str], *rules: Json) -> Json:
    parent = {"name": "httpbin-waypoint", "sectionName": listener}
    spec = {"parentRefs": [parent], "hostnames": hostnames, "rules": list(rules)}
    metadata = {"name": name, "namespace": "httpbin"}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def to(service: str) -> Json:
    return {"backendRefs": [{"name": service, "port": 8000}]}


def trusting(*alpn: str, **limits: Any) -> ssl.SSLContext:
    """A client's context."""
    made = ssl.create_default_context(cadata=CA.pem.decode())
    made.check_hostname = False
    for name, value in limits.items():
        setattr(made, name, value)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


@dataclass(frozen=True)
class Named:
    """A context of clients that all ask for one name."""

    context: ssl.SSLContext
    sni: str

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool) -> ssl.SSLObject:
        return self.context.wrap_bio(incoming, outgoing, server_side, self.sni)


class Https:
    """What clients do to it. `leaves`: what each listener shows."""

    def __init__(self, proxy: Bench, port: int, leaves: dict[str, Leaf]) -> None:
        self.proxy = proxy
        self.port = port
        self.leaves = leaves

    def put_gateway(self, listeners: list[Json], **spec: Any) -> None:
        made = gateway(self.proxy.replica.port)
        made["spec"]["listeners"] += listeners
        made["spec"] |= spec
        self.proxy.manifests.put("gateway", made)

    def listener(self, name: str, **tls: Any) -> Json:
        hostname = {"hostname": NAMES[name]} if NAMES[name] else {}
        made = {"certificateRefs": [{"name": f"cert-{name}"}]} | tls
        return {"name": name, "port": self.port, "protocol": "HTTPS", "tls": made, **hostname}

    def connect(self, sni: str, *alpn: str, **limits: Any) -> ssl.SSLSocket:
        """Hands shaken; raises OSError. The certificate is one of ours, for whatever name."""
        context = trusting(*alpn, **limits)
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        try:
            return context.wrap_socket(sock, server_hostname=sni or None)
        except OSError:
            sock.close()
            raise

    def shown(self, sni: str) -> str:
        """The listener whose certificate is shown, or why none is."""
        try:
            with self.connect(sni) as client:
                found = client.getpeercert(True)
        except ssl.SSLError as fault:
            return fault.reason or str(fault)
        by_der = {ssl.PEM_cert_to_DER_cert(leaf.chain.decode()): name for name, leaf in self.leaves.items()}
        return by_der.get(found or b"", "a former one")

    def http2(self, sni: str, newest: ssl.TLSVersion) -> Connection:
        """A client's connection."""
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        tls = Named(trusting("h2", maximum_version=newest), sni)
        return Connection(sock, cast(ssl.SSLContext, tls), server=False, settings=H2, window=1 << 24)

    def ask(self, sni: str, host: str, path: str = "/") -> tuple[Head, str]:
        """On a connection of its own."""
        with Wire(self.connect(sni)) as client:
            client.send(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")
            head = client.head()
            return head, client.body(head).decode()

    def asked(self, sni: str, host: str) -> str:
        """Who answers, or the status."""
        head, body = self.ask(sni, host)
        return body if head.status == 200 else str(head.status)


@contextlib.contextmanager
def https(directory: Path) -> Iterator[Https]:
    """Each listener has a route to a Service of its own, for all its hosts."""
    leaves = {name: CA.leaf("", names=names) for name, names in CERTIFIED.items()}
    with bench(directory, services=dict.fromkeys(SERVICES.values(), 1)) as proxy:
        made = Https(proxy, free_port(), leaves)
        for name, service in SERVICES.items():
            proxy.play(service, serve_name)
            proxy.manifests.put(f"secret-{name}", secret(f"cert-{name}", leaves[name]))
            hosts = [NAMES[name]] if NAMES[name] else ["any.example"]
            proxy.manifests.put(f"route-{name}", route(name, name, hosts, to(service)))
        proxy.replica.serve(lambda: made.put_gateway([made.listener(name) for name in NAMES]))
        yield made
