"""deploy/kubernetes as it is, on a real API server: what its rights allow is all that a replica asks for."""

import json
import os
from pathlib import Path

import pytest

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.source import kinds
from tests import rig
from tests.cluster import istiod_site as site
from tests.rig import Waypoint, free_port, wait_until

pytestmark = pytest.mark.mesh
FILES = rig.ROOT / "deploy" / "kubernetes"
ACCOUNT = "httpbin-waypoint"


@pytest.fixture(scope="module", autouse=True)
def applied() -> None:
    site.needed()
    site.prepare()
    site.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(FILES))


def kubeconfig(path: Path) -> Path:
    """As the API server is reached in a Pod of the account."""
    given = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
    given["users"][0]["user"] = {"token": site.kubectl("create", "token", ACCOUNT, "-n", site.NAMESPACE).strip()}
    path.write_text(json.dumps(given))
    return path


def test_a_replica_with_its_rights_becomes_ready(tmp_path: Path) -> None:
    site.kubectl("label", "--overwrite", "namespace", site.NAMESPACE, f"istio.io/use-waypoint={ACCOUNT}")
    mounted, status = site.mount(tmp_path / "mounted"), free_port()
    made = Waypoint(
        tmp_path,
        *("-w", "1", "--kubeconfig", str(kubeconfig(tmp_path / "kubeconfig")), "--gateway", f"httpbin/{ACCOUNT}"),
        *("--ca", "istiod://127.0.0.1:15012", "--ca-token", str(mounted / "istio-token")),
        *("--ca-root", str(mounted / "root-cert.pem"), "--status", f"127.0.0.1:{status}", "--admin", "127.0.0.1:0"),
        *("--bind", "127.0.0.1", "--drain-delay", "0", "--drain-time", "1"),
    )
    made.start()
    try:
        wait_until(lambda: site.readiness(status) == "ready\n", 30, made.errors())
        text = made.errors()
    finally:
        assert made.stop() == 0, made.errors()
    assert "Gateway httpbin/httpbin-waypoint, listening on 127.0.0.1:15008" in text
    assert "certificate of spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint" in text
    assert "403" not in text and "forbidden" not in text.lower(), text


@pytest.mark.parametrize("resource", kinds.ADVISED, ids=lambda each: each.plural)
def test_what_is_only_warned_about_may_be_read_too(resource: Resource) -> None:
    """Nothing is said where it may not, so it is asked here."""
    who = f"system:serviceaccount:{site.NAMESPACE}:{ACCOUNT}"
    for verb in ("list", "watch"):
        assert (
            site.kubectl("auth", "can-i", verb, resource.full_name, "-n", site.NAMESPACE, f"--as={who}").strip()
            == "yes"
        )
