"""The guide's replicas in a mesh: reached through tunnels, and (`captured`) reaching endpoints through tunnels."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tests.hbone.destination import Destination
from tests.hbone.identities import Authority, install
from tests.hbone.ztunnel import Ztunnel
from tests.manifests import Manifests, gateway, pod
from tests.rig import Endpoint, Replica, manifests_for, replica

VIP = "10.96.45.123:8000"


@dataclasses.dataclass
class HboneReplica(Replica):
    """A replica whose clients are tunnels."""

    ztunnel: Ztunnel = None  # type: ignore[assignment]

    def hostname(self, path: str = "/hostname") -> str:
        stream = self.ztunnel.tunnel(VIP, "in-ambient.httpbin.svc.cluster.local")
        stream.sendall(f"GET {path} HTTP/1.1\r\nhost: in-ambient:8000\r\nconnection: close\r\n\r\n".encode())
        answer = b""
        while data := stream.recv(65536):
            answer += data
        stream.finish()
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head.split()[1].decode()
        return body.decode().strip()[-5:] if status == "200" else status


@contextlib.contextmanager
def mesh(
    path: Path, members: list[Endpoint], *, redis: str, captured: bool = True, workers: int = 2, names: str = "a"
) -> Iterator[tuple[list[Replica], Manifests]]:
    """Replicas that share a store, and the manifests of the first; each is reached by a ztunnel of its own."""
    ca = Authority()
    tls = install(path / "tls", ca.leaf("httpbin-waypoint"), ca.root)
    with contextlib.ExitStack() as stack:
        running: list[Replica] = []
        for member in members if captured else ():
            stack.enter_context(Destination(member.ip, ca.leaf("in-ambient"), ca.root))
        parts = [stack.enter_context(manifests_for(members, baseEjectionTime="3s")) for _ in names]
        for name, (manifests, port) in zip(names, parts, strict=True):
            manifests.put("gateway", gateway(hbone=port))
            for member in members if captured else ():
                manifests.put(f"pod-{member.name}", pod(member.name, member.ip, captured=True))
            options = ("--tls-dir", str(tls))
            made = stack.enter_context(
                replica(path / name, manifests, port, *options, redis=redis, workers=workers, name=name)
            )
            ztunnel = stack.enter_context(Ztunnel([("127.0.0.1", port)], ca.leaf("client"), ca.root))
            running.append(HboneReplica(made.waypoint, made.port, made.status, made.admin, made.metrics, ztunnel))
        yield running, parts[0][0]
