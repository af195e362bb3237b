"""deploy/kubernetes as it is, on a real API server: what its rights allow is all that a replica asks for."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.source import kinds
from tests import rig
from tests.cluster.istiod_site import WAYPOINT, Site, kubectl, readiness
from tests.rig import Waypoint, free_port, wait_until

pytestmark = pytest.mark.mesh
FILES = rig.ROOT / "deploy" / "kubernetes"


@pytest.fixture(scope="module", autouse=True)
def site() -> Iterator[Site]:
    """The namespace that deploy/ is for, with what is in there applied."""
    made = Site("httpbin")
    made.prepare()
    kubectl("label", "namespace", made.namespace, f"istio.io/use-waypoint={WAYPOINT}")
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(FILES))
    yield made
    kubectl("delete", "--wait=false", "-k", str(FILES))
    made.leave()


def kubeconfig(site: Site, path: Path) -> Path:
    """As the API server is reached in a Pod of the account."""
    given = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
    given["users"][0]["user"] = {"token": site.token(WAYPOINT)}
    path.write_text(json.dumps(given))
    return path


def test_a_replica_with_its_rights_becomes_ready(site: Site, tmp_path: Path) -> None:
    mounted, status = site.mount(tmp_path / "mounted"), free_port()
    made = Waypoint(
        tmp_path,
        *(
            "-w",
            "1",
            "--kubeconfig",
            str(kubeconfig(site, tmp_path / "kubeconfig")),
            "--gateway",
            f"httpbin/{WAYPOINT}",
        ),
        *("--ca", "istiod://127.0.0.1:15012", "--ca-token", str(mounted / "istio-token")),
        *("--ca-root", str(mounted / "root-cert.pem"), "--status", f"127.0.0.1:{status}", "--admin", "127.0.0.1:0"),
        *("--bind", "127.0.0.1", "--drain-delay", "0", "--drain-time", "1"),
    )
    made.start()
    try:
        wait_until(lambda: readiness(status) == "ready\n", 30, made.errors())
        text = made.errors()
    finally:
        assert made.stop() == 0, made.errors()
    assert "Gateway httpbin/httpbin-waypoint, listening on 127.0.0.1:15008" in text
    assert "certificate of spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint" in text
    assert "403" not in text and "forbidden" not in text.lower(), text


@pytest.mark.parametrize("resource", kinds.ADVISED, ids=lambda each: each.plural)
def test_what_is_only_warned_about_may_be_read_too(site: Site, resource: Resource) -> None:
    """Nothing is said where it may not, so it is asked here."""
    who = f"system:serviceaccount:{site.namespace}:{WAYPOINT}"
    for verb in ("list", "watch"):
        assert kubectl("auth", "can-i", verb, resource.full_name, "-n", site.namespace, f"--as={who}").strip() == "yes"


@pytest.mark.skipif(
    any(Path("/tmp") in Path(each).parents for each in (rig.ROOT, sys.prefix)),
    reason="the checkout is in /tmp, where these pods have a volume of their own: they would not find it",
)
def test_its_pods_become_ready_and_have_all_they_need(site: Site) -> None:
    """As the files are, but for Redis, whose pod wants a volume that the node has not."""
    kubectl("-n", site.namespace, "rollout", "status", f"deployment/{WAYPOINT}", "--timeout=60s", timeout=70)
    log = kubectl("-n", site.namespace, "logs", f"deployment/{WAYPOINT}")
    assert "certificate of spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint" in log
    assert "403" not in log and "forbidden" not in log.lower(), log
    command = (sys.executable, str(rig.ROOT / "bin" / "waypointctl"), "hbone-get", "127.0.0.1", "nobody.httpbin:80")
    told = kubectl("-n", site.namespace, "exec", f"deployment/{WAYPOINT}", "--", *command, fails=True)
    assert "* we are spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint (issued by O=cluster.local" in told
    assert "CONNECT nobody.httpbin:80: refused with 404" in told
