"""The profiles: what there is before the suite comes, with which flags it runs, and what is kept of it.

MESH: waypointd is the waypoint of clients that are captured; GATEWAY: it is every Gateway; EXPERIMENTAL: the same with
the CRDs of that channel, which have more fields. All are deployed by what deploy/install.yaml installs.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cluster.api_rig import Api
from tests.cluster.conformance import suite
from tests.cluster.conformance.suite import Outcome
from tests.cluster.deployer_rig import SYSTEM, let_capture
from tests.cluster.installation import installed
from tests.cluster.istiod_site import kubectl
from tests.rig import wait_until

FILES = Path(__file__).parent / "files"
MESH_NAMESPACE = "gateway-conformance-mesh"
INFRA_NAMESPACE = "gateway-conformance-infra"
BACKENDS = ("gateway-conformance-app-backend", "gateway-conformance-web-backend")
CLASS = "waypointd"
PATIENCE_S = 120
STEADY = "RequiredConsecutiveSuccesses:10"
"""Not 3: of two endpoints in turn, who ignores routes would give three equal answers by chance."""

STATUS_TIMES = (
    *("GatewayMustHaveAddress:30", "GatewayMustHaveCondition:30", "GatewayStatusMustHaveListeners:30"),
    *("GatewayListenersMustHaveConditions:30", "LatestObservedGenerationSet:30", "HTTPRouteMustNotHaveParents:20"),
    *("HTTPRouteMustHaveCondition:20", "RouteMustHaveParents:20"),
)
"""Shorter than the suite's own: a test that fails keeps asking."""


@dataclass(frozen=True)
class Profile:
    """`profiles`: as the suite calls them; `prepared`: what is there while it runs; `times`: how long it waits; `base`:
    whose features and tests it has, too."""

    name: str
    profiles: str
    prepared: Callable[[Api, Path], contextlib.AbstractContextManager[None]]
    times: tuple[str, ...]
    flags: tuple[str, ...]
    base: str = ""

    def run(self, api: Api, folder: Path, tests: str = "", *more: str) -> list[Outcome]:
        """Its tests, or those whose names `tests` matches; logs and the report are in `folder` then."""
        with self.prepared(api, folder):
            log = suite.run(folder, tests, self.profiles, self._named("features"), self.times, *self.flags, *more)
        return suite.outcomes(log)

    @property
    def expected(self) -> list[str]:
        """The tests that must pass."""
        return self._named("expected")

    def _named(self, what: str) -> list[str]:
        return [line for name in (self.base, self.name) for line in suite.named(FILES / f"{what}-{name}.txt")]


@contextlib.contextmanager
def _mesh(api: Api, folder: Path) -> Iterator[None]:
    let_capture(api)
    with installed(), _namespaces(MESH_NAMESPACE, f"{MESH_NAMESPACE}-consumer", *BACKENDS):
        kubectl("create", "namespace", MESH_NAMESPACE)
        kubectl("apply", "-f", str(FILES / "waypoint.yaml"))
        _apply_placeholders()
        kubectl(
            *("-n", MESH_NAMESPACE, "wait", "--for=condition=Programmed", "gateway/waypoint"),
            f"--timeout={PATIENCE_S}s",
            timeout=PATIENCE_S,
        )
        try:
            with _requests_of_others():
                yield
        finally:
            _keep(folder / "waypointd.log", MESH_NAMESPACE, "deployment/waypoint")
            _keep(folder / "deployer.log", SYSTEM, "deployment/waypointd-deployer")


@contextlib.contextmanager
def _gateway(api: Api, folder: Path) -> Iterator[None]:
    with installed(replicas="1"), _namespaces(INFRA_NAMESPACE, *BACKENDS):
        try:
            yield
        finally:
            _keep(folder / "deployer.log", SYSTEM, "deployment/waypointd-deployer")
            logs = sorted(api.cluster.folder.glob("node/pods/*/logs/waypointd"))
            (folder / "waypointd.log").write_text("\n".join(each.read_text(errors="replace") for each in logs))


@contextlib.contextmanager
def _experimental(api: Api, folder: Path) -> Iterator[None]:
    """For good: only for a cluster of one's own."""
    those = [f"--filename={each}" for each in suite.experimental_crds()]
    kubectl("apply", "--server-side", "--force-conflicts", *those, timeout=PATIENCE_S)
    with _gateway(api, folder):
        yield


@contextlib.contextmanager
def _namespaces(*names: str) -> Iterator[None]:
    """None of them before, none after."""
    words = ("delete", "namespace", "--ignore-not-found", *names)
    kubectl(*words, timeout=PATIENCE_S)
    try:
        yield
    finally:
        kubectl(*words, timeout=PATIENCE_S)


def _apply_placeholders() -> None:
    """As soon as their namespaces have the account that Pods need."""
    words = ["kubectl", "apply", "-f", str(FILES / "placeholders.yaml")]
    wait_until(lambda: not subprocess.run(words, capture_output=True, check=False).returncode, PATIENCE_S)


@contextlib.contextmanager
def _requests_of_others() -> Iterator[None]:
    """Seven a second. A strict rotation would serve two cases that run at the same time in step: always v1 to one,
    always v2 to the other, and both would be content."""
    ended = threading.Event()
    asked = ("client", "http://echo/", "--count=20", "--qps=7")
    words = ["kubectl", "-n", MESH_NAMESPACE, "exec", "deployment/echo-v2", "--container=echo", "--", *asked]

    def ask() -> None:
        while not ended.wait(0.2):
            subprocess.run(words, capture_output=True, check=False)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _keep(path: Path, namespace: str, what: str) -> None:
    words = ["kubectl", "-n", namespace, "logs", what, "--all-pods=true", "--tail=-1"]
    with path.open("wb") as out:
        subprocess.run(words, stdout=out, stderr=out, check=False)


_LABELS = (
    "istio.io/dataplane-mode=ambient",
    "istio.io/use-waypoint=waypoint",
    f"istio.io/use-waypoint-namespace={MESH_NAMESPACE}",
)
_MESH = Profile(
    name="mesh",
    profiles="MESH-HTTP,MESH-GRPC",
    prepared=_mesh,
    times=("NamespacesMustBeReady:120", "MaxTimeToConsistency:15", STEADY),
    flags=("--gateway-class=", f"--namespace-labels={','.join(_LABELS)}"),
)
_GATEWAY = Profile(
    name="gateway",
    profiles="GATEWAY-HTTP,GATEWAY-GRPC",
    prepared=_gateway,
    times=("NamespacesMustBeReady:180", "MaxTimeToConsistency:15", "RequestTimeout:10", *STATUS_TIMES, STEADY),
    flags=(f"--gateway-class={CLASS}", "--usable-address=10.96.200.7", "--unusable-address=192.0.2.9"),
)
_EXPERIMENTAL = replace(_GATEWAY, name="experimental", prepared=_experimental, base="gateway")
PROFILES = {each.name: each for each in (_MESH, _GATEWAY, _EXPERIMENTAL)}
