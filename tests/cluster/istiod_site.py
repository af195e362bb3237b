"""A real istiod beside us, as `cluster.py run --istiod` starts it: service accounts, their tokens, its root.

Everything is in one network namespace; istiod listens on 127.0.0.1:15012, KUBECONFIG says where the API server is.
"""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from proxy.identity import certificates
from proxy.identity.istiod.ask import ask, mounted
from proxy.identity.istiod.authority import Authority
from tests.certificates import Leaf
from tests.rig import get, wait_until

ISTIOD = ("127.0.0.1", 15012)
NAMESPACE = "httpbin"
AUDIENCE = "istio-ca"


def needed() -> None:
    """Skips, saying why, where there is no cluster; with CI=true that is a failure."""
    reason = _missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def _missing() -> str:
    if "KUBECONFIG" not in os.environ:
        return "no cluster: run it inside `cluster.py run --istiod DIR -- COMMAND`"
    with socket.socket() as probe:
        if probe.connect_ex(ISTIOD):
            return "a cluster without istiod: run it inside `cluster.py run --istiod DIR -- COMMAND`"
    return ""


def kubectl(*words: str) -> str:
    """What it prints; a failure of it is the test's."""
    done = subprocess.run(["kubectl", *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


def prepare() -> None:
    """The namespace and the accounts; the root of the mesh is in it when this returns."""
    for what in (("namespace", NAMESPACE), *(("serviceaccount", each) for each in ("httpbin-waypoint", "client"))):
        with contextlib.suppress(AssertionError):  # there from a run before
            kubectl("create", *what, *(("-n", NAMESPACE) if what[0] == "serviceaccount" else ()))
    wait_until(lambda: "BEGIN CERTIFICATE" in root(), 60, "istiod puts its root into every namespace")


def root() -> str:
    """The ConfigMap that istiod keeps in every namespace; empty until it is there."""
    path = "jsonpath={.data.root-cert\\.pem}"
    return kubectl("-n", NAMESPACE, "get", "configmap", "istio-ca-root-cert", "--ignore-not-found", "-o", path)


def mount(directory: Path, account: str = "httpbin-waypoint", audience: str = AUDIENCE) -> Path:
    """Token and root as the kubelet mounts them."""
    directory.mkdir(parents=True, exist_ok=True)
    words = ("create", "token", account, "-n", NAMESPACE, "--audience", audience)
    (directory / "istio-token").write_text(kubectl(*words).strip())
    (directory / "root-cert.pem").write_text(root())
    return directory


def signed(directory: Path, account: str) -> Leaf:
    """A certificate of another workload."""
    mount(directory, account)
    files = (str(directory / "istio-token"), str(directory / "root-cert.pem"))
    place = Authority(f"{ISTIOD[0]}:{ISTIOD[1]}", *files, "Kubernetes", "cluster.local", 3600)
    contents = ask(place, mounted(place), time.time())
    found = certificates.check(place.url, contents, time.time())
    return Leaf(found.chain, found.key, found.roots, load_pem_x509_certificate(found.chain))


def readiness(port: int) -> str:
    """What the page says, or why there is none."""
    try:
        return get(port, "/healthz/ready")[1]
    except OSError as fault:
        return str(fault)
