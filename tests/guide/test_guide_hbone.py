"""The guide's walk-through again, with clients and endpoints behind ztunnels: same steps, same outcomes."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hbone.certificates import Authority, install
from hbone.destination import Destination
from hbone.ztunnel import Ztunnel
from rig import Endpoint, Manifests, Replica, endpoints, manifests_for, replica, wait_until
from test_guide import walk

from state.embedded import Embedded

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


def gateway(port: int) -> dict[str, object]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "httpbin-waypoint", "namespace": "httpbin"},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": port, "protocol": "HBONE"}],
        },
    }


def pod(member: Endpoint) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": member.name,
            "namespace": "httpbin",
            "annotations": {"ambient.istio.io/redirection": "enabled"},
        },
        "spec": {"serviceAccountName": "in-ambient"},
        "status": {"phase": "Running", "podIP": member.ip, "podIPs": [{"ip": member.ip}]},
    }


@contextlib.contextmanager
def mesh(
    path: Path, members: list[Endpoint], *, captured: bool, workers: int, redis: str, names: str = "a"
) -> Iterator[tuple[list[Replica], Manifests]]:
    """Replicas that share the manifests of the first; each is reached by a ztunnel of its own."""
    ca = Authority()
    tls = install(path / "tls", ca.leaf("httpbin-waypoint"), ca.root)
    with contextlib.ExitStack() as stack:
        running: list[Replica] = []
        for member in members if captured else ():
            stack.enter_context(Destination(member.ip, ca.leaf("in-ambient"), ca.root))
        parts = [stack.enter_context(manifests_for(members, baseEjectionTime="3s")) for _ in names]
        for name, (manifests, port) in zip(names, parts, strict=True):
            manifests.put("gateway", gateway(port))
            for member in members if captured else ():
                manifests.put(f"pod-{member.name}", pod(member))
            options = ("--tls-dir", str(tls))
            made = stack.enter_context(
                replica(path / name, manifests, port, *options, redis=redis, workers=workers, name=name)
            )
            ztunnel = stack.enter_context(Ztunnel([("127.0.0.1", port)], ca.leaf("client"), ca.root))
            running.append(HboneReplica(made.waypoint, made.port, made.status, made.admin, ztunnel))
        yield running, parts[0][0]


@pytest.mark.parametrize("captured", [True, False], ids=["hbone", "plain"])
@pytest.mark.parametrize("workers", [1, 4])
def test_one_replica(workers: int, captured: bool, valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        mesh(tmp_path, members, captured=captured, workers=workers, redis=valkey.url) as (replicas, manifests),
    ):
        walk(replicas, members, manifests, valkey, 3.0)


@pytest.mark.slow
def test_two_replicas(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        mesh(tmp_path, members, captured=True, workers=2, redis=valkey.url, names="ab") as (replicas, manifests),
    ):
        walk(replicas, members, manifests, valkey, 3.0)


def test_an_app_killed_behind_a_live_ztunnel_is_seen_by_no_client(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        mesh(tmp_path, members, captured=True, workers=4, redis=valkey.url) as (replicas, _),
    ):
        order = [member.name[-5:] for member in members]
        assert replicas[0].hostnames(6) == order * 2
        members[1].kill()
        answers = replicas[0].hostnames(20)
        assert set(answers) == {order[0], order[2]}
        (line,) = wait_until(replicas[0].waypoint.ejections, 2, "ejected")
        assert f"endpoint={members[1].address}" in line and "consecutive" in line
