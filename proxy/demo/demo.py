"""`--demo`: a private copy of the guide's manifests, the sample endpoints they name, certificates, what to type next.

The copy is there to be edited; it is removed at the end. Nothing else of waypointd knows that it is a demo.
"""

import re
import shutil
import socket
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from proxy import addresses, log
from proxy.arbiter import listening
from proxy.arbiter.children import PACKAGE_ROOT, Child, Rest, spawn
from proxy.arbiter.hints import redis_cli, waypointctl
from proxy.identity.certificates import HBONE
from proxy.identity.dev_mesh import USUAL, DevMesh

RESTART_S = 10.0
"""How long a killed endpoint stays away: about what Kubernetes takes."""
CERTIFIED_S = 30 * 86400.0
"""How long the demo's certificates are valid: longer than any demo runs."""
PATIENCE_S = 5.0
"""How long the endpoints may take until they listen; where one needs longer, its log lines say why."""


class DemoFault(Exception):
    """The demo cannot run here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class SampleEndpoint:
    """Where one endpoint of the manifests listens, and the Pod's name it goes by."""

    host: str
    port: int
    pod: str


class Demo:
    """A running demo: `manifests` is the directory to serve, `tls_dir` has the waypoint's certificates, `endpoints` are
    processes for the arbiter to keep.
    """

    def __init__(self, manifests: Path, bind: str) -> None:
        self.manifests = manifests
        self.tls_dir = manifests / "certs" / "waypoint"
        self._objects = list(_objects(manifests))
        self._bind = bind
        self.endpoints = [_child(endpoint) for endpoint in sample_endpoints(self._objects)]

    @classmethod
    def prepare(cls, bind: str) -> Self:
        """Copy the manifests and see that the addresses are free. Raises DemoFault."""
        manifests = Path(tempfile.mkdtemp(prefix="waypointd-demo-"))
        try:
            for source in sorted(shipped_manifests().glob("*.yaml")):
                (manifests / source.name).write_text(with_mesh(source.read_text(encoding="utf-8")), encoding="utf-8")
            mesh = DevMesh.open(manifests / "certs")
            for identity in USUAL:
                mesh.issue(identity, seconds=CERTIFIED_S)
            demo = cls(manifests, bind)
            _see_that_free([f"{each.host}:{each.port}" for each in sample_endpoints(demo._objects)])
            _see_that_free(addresses.join(bind, port) for port in listener_ports(demo._objects))
        except BaseException:
            shutil.rmtree(manifests)
            raise
        return demo

    def end(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self.manifests, ignore_errors=True)

    def announce(self, redis: str) -> None:
        """Say what to type next, now that the replica is ready, and as soon as the endpoints are, too: one that refuses
        its first requests would be ejected. `redis` is the URL of the replica's store."""
        _wait_for(sample_endpoints(self._objects))
        plain, mesh = (
            addresses.join(self._bind, next(listener_ports(self._objects, each))) for each in ("HTTP", HBONE)
        )
        log.show(guide(plain, mesh, redis, self.manifests, self.endpoints))


def guide(listener: str, mesh: str, redis: str, manifests: Path, endpoints: Sequence[Child]) -> str:
    """What to type next. `listener` is the plain one, `mesh` the HBONE one."""
    pid = endpoints[0].pid
    tunnel = f"hbone-get {mesh} in-ambient.httpbin:8000 /hostname --tls-dir {manifests}/certs/client"
    lines = {
        f"curl http://{listener}/hostname": "the three endpoints take turns",
        f"kill -USR1 {pid}": "this endpoint answers 503 from now on: ejected after 3",
        f"kill -USR2 {pid}": "and is well again",
        f"kill -9 {pid}": f"gone, back in {RESTART_S:g} s (another pid): no client sees an error",
        f"kill -STOP {pid}": "hangs: ejected after 3 curl --max-time 2 (-CONT ends it)",
        redis_cli(redis, "waypoint"): "",
        waypointctl(redis, "ejections"): "what is out, why, and how long still",
    }
    return "\n".join(
        [
            "\nThe demo is ready. In another terminal:\n",
            *(f"    {line:44}{f'  # {why}' if why else ''}".rstrip() for line, why in lines.items()),
            "\nThe same through an HBONE tunnel, as a ztunnel asks, with every step told:\n",
            f"    {waypointctl('', tunnel)}",
            "\nEndpoints (pid, pod):",
            *(f"    {child.pid:>8}  {child.name}" for child in endpoints),
            f"\nManifests to edit: {manifests}",
            "Ctrl-C ends it all.\n",
        ]
    )


def shipped_manifests() -> Path:
    """conf/demo of this installation or checkout. Raises DemoFault."""
    for root in (Path(PACKAGE_ROOT), Path(sysconfig.get_path("data")) / "share" / "waypointd"):
        if (root / "conf" / "demo").is_dir():
            return root / "conf" / "demo"
    raise DemoFault("the demo's manifests (conf/demo) are not installed: run it from a checkout")


def with_mesh(text: str) -> str:
    """A manifest with the HBONE listener that is a comment in the shipped one: the demo has certificates for it."""
    return re.sub(r"^(    )# (- name: mesh|  port: 15008|  protocol: HBONE)$", r"\1\2", text, flags=re.MULTILINE)


def _objects(manifests: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(manifests.glob("*.yaml")):
        yield from filter(None, yaml.safe_load_all(path.read_text(encoding="utf-8")))


def sample_endpoints(objects: Iterable[dict[str, Any]]) -> Iterator[SampleEndpoint]:
    """The endpoints the EndpointSlices name."""
    for slice_ in (each for each in objects if each["kind"] == "EndpointSlice"):
        for endpoint in slice_["endpoints"]:
            yield SampleEndpoint(endpoint["addresses"][0], slice_["ports"][0]["port"], endpoint["targetRef"]["name"])


def listener_ports(objects: Iterable[dict[str, Any]], protocol: str = "") -> Iterator[int]:
    """The ports the Gateways open, with this protocol or any."""
    for gateway in (each for each in objects if each["kind"] == "Gateway"):
        listeners = gateway["spec"]["listeners"]
        yield from (listener["port"] for listener in listeners if protocol in ("", listener["protocol"]))


def _see_that_free(wanted: Iterable[str]) -> None:
    for address in wanted:
        try:
            listening.listen(address).close()
        except OSError as fault:
            raise DemoFault(f"the demo needs {address}: {listening.explain(fault)}") from fault


def _wait_for(endpoints: Iterable[SampleEndpoint]) -> None:
    end = time.monotonic() + PATIENCE_S
    for endpoint in endpoints:
        while not _listens(endpoint) and time.monotonic() < end:
            time.sleep(0.02)


def _listens(endpoint: SampleEndpoint) -> bool:
    try:
        socket.create_connection((endpoint.host, endpoint.port), 1).close()
    except OSError:
        return False
    return True


def _child(endpoint: SampleEndpoint) -> Child:
    arguments = ["--host", endpoint.host, "--port", str(endpoint.port), "--pod", endpoint.pod]
    return Child(endpoint.pod, lambda: spawn("proxy.demo.endpoint", arguments), Rest(RESTART_S))
