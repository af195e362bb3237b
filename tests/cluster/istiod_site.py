"""The istiod of the test cluster: service accounts, their tokens, its root, certificates that it signs.

Everything is in one network namespace; istiod listens on 127.0.0.1:15012, KUBECONFIG says where the API server is.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from proxy.identity import checking
from proxy.identity.istiod.ask import ask, mounted
from proxy.identity.istiod.authority import Authority
from tests.certificates import Leaf
from tests.rig import get, wait_until

ISTIOD = ("127.0.0.1", 15012)
AUDIENCE = "istio-ca"
WAYPOINT, CLIENT = "httpbin-waypoint", "client"


def kubectl(*words: str, timeout: float = 30, fails: bool = False, given: str | None = None) -> str:
    """What it prints; a failure of it is the test's, unless it `fails`: then what it says is the answer. `given`: what
    it reads."""
    done = subprocess.run(
        ["kubectl", *words], capture_output=True, text=True, timeout=timeout, check=False, input=given
    )
    assert (done.returncode != 0) == fails, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stderr if fails else done.stdout


@dataclass(frozen=True)
class Site:
    """A namespace with the accounts of a waypoint and of a client."""

    namespace: str

    @property
    def identity(self) -> str:
        """The waypoint's."""
        return f"spiffe://cluster.local/ns/{self.namespace}/sa/{WAYPOINT}"

    def prepare(self) -> None:
        """The root of the mesh is in the namespace when this returns."""
        kubectl("create", "namespace", self.namespace)
        for account in (WAYPOINT, CLIENT):
            kubectl("-n", self.namespace, "create", "serviceaccount", account)
        wait_until(lambda: "BEGIN CERTIFICATE" in self.root(), 60, "istiod puts its root into every namespace")

    def leave(self) -> None:
        """Not waited for: it takes seconds."""
        kubectl("delete", "namespace", self.namespace, "--wait=false")

    def root(self) -> str:
        """The ConfigMap that istiod keeps in every namespace; empty until it is there."""
        path = "jsonpath={.data.root-cert\\.pem}"
        return kubectl("-n", self.namespace, "get", "configmap", "istio-ca-root-cert", "--ignore-not-found", "-o", path)

    def token(self, account: str, *more: str) -> str:
        return kubectl("-n", self.namespace, "create", "token", account, *more).strip()

    def mount(self, directory: Path, account: str = WAYPOINT, audience: str = AUDIENCE) -> Path:
        """Token and root as the kubelet mounts them."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "istio-token").write_text(self.token(account, "--audience", audience))
        (directory / "root-cert.pem").write_text(self.root())
        return directory

    def signed(self, directory: Path) -> Leaf:
        """A certificate of the client."""
        self.mount(directory, CLIENT)
        files = (str(directory / "istio-token"), str(directory / "root-cert.pem"))
        place = Authority(f"{ISTIOD[0]}:{ISTIOD[1]}", *files, "Kubernetes", "cluster.local", 3600)
        found = checking.check(place.url, ask(place, mounted(place), time.time()), time.time())
        return Leaf(found.chain, found.key, found.roots, load_pem_x509_certificate(found.chain))


def readiness(port: int) -> str:
    """What the page says, or why there is none."""
    try:
        return get(port, "/healthz/ready")[1]
    except OSError as fault:
        return str(fault)
