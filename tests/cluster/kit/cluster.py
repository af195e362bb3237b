"""A Kubernetes cluster for tests, on one machine without containers: etcd, kube-apiserver, kube-controller-manager.

    python -m tests.cluster.kit.cluster DIR -- COMMAND...     COMMAND finds KUBECONFIG and kubectl; then all of it ends

The CRDs of the Gateway API and of Istio are there. With --istiod there is also Istio's control plane: istiod, and the
Service that pods find it by.
With --images FILE there is also a node (`programs/node.go`) and kube-proxy: Deployments get pods that run, as processes
of this machine in namespaces of their own. That needs root and a network namespace of your own: `unshare -n`.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from tests.cluster.kit.istio import ISTIOD, ISTIOD_ENVIRONMENT, NODE, injector
from tests.cluster.kit.keys import ADMIN_TOKEN, kubeconfig, make_certificates

PROGRAMS = Path(os.environ.get("CLUSTER_PROGRAMS") or Path.home() / ".cache" / "waypointd" / "cluster" / "bin")
"""Where `build` leaves the programs."""
FOLDER_VARIABLE = "TEST_CLUSTER"
"""Tells what runs in a cluster where its files are."""
SERVICES = "10.96.0.0/16"
START_S = 60
HERE = Path(__file__).resolve().parent
CRDS = HERE / "crds"


class Cluster:
    """The three programs, their files and their process ids, all in one folder."""

    def __init__(
        self,
        folder: Path,
        port: int = 6443,
        etcd_port: int = 2379,
        images: Path | None = None,
        istiod: bool = False,
        mesh: Path | None = None,
    ) -> None:
        self.images = images
        self.mesh = mesh
        self.istiod = istiod
        self.folder = folder.resolve()
        self.keys = self.folder / "keys"
        self.port = port
        self.etcd_port = etcd_port
        self.kubeconfig = self.folder / "kubeconfig"

    @classmethod
    def running(cls) -> Self:
        """The one that this process runs in (`run`)."""
        folder = Path(os.environ[FOLDER_VARIABLE])
        return cls(folder, **json.loads((folder / "options").read_text()))

    def commands(self) -> dict[str, list[str]]:
        """What to start, in this order."""
        keys, etcd = self.keys, f"http://127.0.0.1:{self.etcd_port}"
        bind = "0.0.0.0" if self.images else "127.0.0.1"  # pods come by the bridge
        commands = {
            "etcd": [
                str(PROGRAMS / "etcd"),
                f"--data-dir={self.folder}/etcd",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{self.etcd_port + 1}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            "kube-apiserver": [
                str(PROGRAMS / "kube-apiserver"),
                f"--etcd-servers={etcd}",
                f"--secure-port={self.port}",
                f"--bind-address={bind}",
                f"--advertise-address={NODE}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--tls-cert-file={keys}/server.crt",
                f"--tls-private-key-file={keys}/server.key",
                f"--client-ca-file={keys}/ca.crt",
                f"--token-auth-file={keys}/tokens.csv",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={keys}/service-accounts.key",
                f"--service-account-signing-key-file={keys}/service-accounts.key",
                f"--service-cluster-ip-range={SERVICES}",
                "--allow-privileged=true",
                "--profiling=false",
                "--v=1",
            ],
            "kube-controller-manager": [
                str(PROGRAMS / "kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig}",
                "--use-service-account-credentials=false",
                "--leader-elect=false",
                "--secure-port=0",
                f"--root-ca-file={keys}/ca.crt",
                f"--service-account-private-key-file={keys}/service-accounts.key",
                # Nobody sends a node's heartbeats here, so nothing that would take a node away for it.
                "--controllers=*,-node-lifecycle-controller,-node-ipam-controller,-cloud-node-lifecycle-controller,"
                "-persistentvolume-binder-controller,-persistentvolume-attach-detach-controller,"
                "-persistentvolume-expander-controller,-ephemeral-volume-controller",
                "--profiling=false",
                "--v=1",
            ],
        }
        if self.images:
            commands["kube-proxy"] = [
                str(PROGRAMS / "kube-proxy"),
                f"--kubeconfig={self.kubeconfig}",
                "--proxy-mode=nftables",
                "--hostname-override=node-1",
                "--cluster-cidr=10.10.0.0/16",
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
                "--healthz-bind-address=127.0.0.1:10256",
                "--v=1",
            ]
            commands["node"] = [
                str(PROGRAMS / "node"),
                f"--kubeconfig={self.kubeconfig}",
                f"--address={NODE}",
                f"--images={self.images}",
                f"--folder={self.folder}/node",
                *([f"--mesh={self.mesh}"] if self.mesh else []),
            ]
        if self.istiod:
            commands["istiod"] = [
                str(PROGRAMS / "istiod"),
                "discovery",
                f"--kubeconfig={self.kubeconfig}",
                f"--meshConfig={self.folder}/mesh",
                "--domain=cluster.local",
                "--log_output_level=default:info",
            ]
        return commands

    def up(self) -> None:
        """Start what is not running; return when it is ready for use."""
        missing = [name for name in self.commands() if not (PROGRAMS / name).exists()]
        if missing:
            raise SystemExit(f"cluster: {', '.join(missing)} not in {PROGRAMS}: run {HERE / 'build'}")
        if not (self.keys / "server.crt").exists():
            make_certificates(self.keys)
        self.kubeconfig.write_text(json.dumps(kubeconfig(self.keys, self.port), indent=1))
        for name in self.commands():
            if name == "istiod":
                self.apply(json.dumps(ISTIOD))
                if templates := injector(PROGRAMS / "istiod-chart"):
                    self.apply(templates, "--filename=-", "--server-side")
                (self.folder / "mesh").write_text("trustDomain: cluster.local\n")
            self.start(name)
            if name == "kube-apiserver":
                self.apply("", f"--filename={CRDS}", "--server-side")
        self.wait(
            "a service account in namespace default",
            lambda: self.get("/api/v1/namespaces/default/serviceaccounts/default"),
        )

    def start(self, name: str) -> None:
        """Start one of them, if it is not running, and wait until it answers."""
        if not self.pid(name):
            # Not subprocess: what a test has started again outlives it.
            command, environment = self.commands()[name], os.environ | (ISTIOD_ENVIRONMENT if name == "istiod" else {})
            with (self.folder / f"{name}.log").open("ab") as log:
                where = [(os.POSIX_SPAWN_DUP2, log.fileno(), fd) for fd in (1, 2)]
                nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
                pid = os.posix_spawn(command[0], command, environment, file_actions=[nothing, *where], setsid=True)
            (self.folder / f"{name}.pid").write_text(str(pid))
        if name == "etcd":
            self.wait("etcd", lambda: _fetch(f"http://127.0.0.1:{self.etcd_port}/health"))
        if name == "kube-apiserver":
            self.wait("kube-apiserver", lambda: self.get("/readyz"))
        if name == "node":
            self.wait("node", self.node_ready)
        if name == "istiod":
            self.wait("istiod", lambda: _fetch("http://127.0.0.1:8080/ready"))

    def node_ready(self) -> None:
        """Raises until the node has said so."""
        if not json.loads(self.get("/api/v1/nodes/node-1"))["status"].get("conditions"):
            raise OSError("the node has not said that it is ready")

    def apply(self, text: str, *words: str) -> None:
        """What there is before anybody comes: CRDs, the Service of istiod."""
        command = [str(PROGRAMS / "kubectl"), f"--kubeconfig={self.kubeconfig}", "apply", *(words or ("--filename=-",))]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"cluster: {' '.join(command)}: {done.stderr}")

    def stop(self, name: str, how: int = signal.SIGTERM) -> None:
        """End one of them and wait for its end."""
        pid = self.pid(name)
        if pid:
            os.kill(pid, how)
            for _ in range(200):
                if not self.pid(name):
                    break
                time.sleep(0.05)
            else:
                os.kill(pid, signal.SIGKILL)
        (self.folder / f"{name}.pid").unlink(missing_ok=True)

    def down(self) -> None:
        """End all, the last one first. etcd and apiserver have nothing to say good-bye to: the data is thrown away."""
        for name in reversed(self.commands()):
            self.stop(name, signal.SIGKILL)
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def pid(self, name: str) -> int | None:
        """Its process id while it runs."""
        try:
            pid = int((self.folder / f"{name}.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            threads = len(os.listdir(f"/proc/{pid}/task"))  # the last one to end gives the ports back
        except (OSError, ValueError):
            return None
        own = name.encode() in words[0] or not words[0]  # just after its start a process has no words yet
        return pid if own and (state != "Z" or threads > 1) else None

    def get(self, path: str) -> bytes:
        """GET from the API server as admin."""
        return _fetch(f"https://127.0.0.1:{self.port}{path}", ADMIN_TOKEN, self.keys / "ca.crt")

    def wait(self, what: str, ready: Callable[[], object]) -> None:
        """Until `ready` raises no more."""
        end = time.monotonic() + START_S
        while True:
            try:
                ready()
                return
            except (OSError, urllib.error.URLError) as error:
                dead = [n for n in self.commands() if (self.folder / f"{n}.pid").exists() and not self.pid(n)]
                if dead or time.monotonic() > end:
                    raise SystemExit(f"cluster: {what}: {error}; ended: {dead}; logs are in {self.folder}") from error
                time.sleep(0.1)

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Up, and down in the end."""
        began = time.monotonic()
        options = {"port": self.port, "etcd_port": self.etcd_port, "istiod": self.istiod}
        files = {name: str(path) for name, path in (("images", self.images), ("mesh", self.mesh)) if path}
        (self.folder / "options").write_text(json.dumps(options | files))
        try:
            self.up()
            print(f"cluster: ready after {time.monotonic() - began:.1f} s", file=sys.stderr)
            yield
        finally:
            self.down()


def _fetch(url: str, token: str = "", ca: Path | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
        body: bytes = answer.read()
        return body


def main() -> int:
    """The exit status is that of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs="+")
    parser.add_argument("--port", type=int, default=6443)
    parser.add_argument("--etcd-port", type=int, default=2379)
    parser.add_argument("--images", type=Path, help="JSON: image name -> {command, env}; starts a node that runs pods")
    parser.add_argument("--mesh", type=Path, help="JSON: what is added to the spec of pods in ambient mode")
    parser.add_argument("--istiod", action="store_true", help="Istio's control plane too (build --istiod)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(options.folder, options.port, options.etcd_port, options.images, options.istiod, options.mesh)
    path = f"{PROGRAMS}:{os.environ['PATH']}"  # our kubectl, of the same version
    own = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path, FOLDER_VARIABLE: str(cluster.folder)}
    with cluster.started():
        return subprocess.run(options.command, env=os.environ | own, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
