"""deploy/install.yaml as an administrator installs it; its Redis without a volume, which the node has none of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import yaml

from tests.cluster.deployer_rig import ROOT, SYSTEM
from tests.cluster.istiod_site import kubectl
from tests.rig import wait_until

Object = dict[str, Any]
PATIENCE_S = 120


def bodies() -> Iterator[Object]:
    """What is in it."""
    for body in yaml.safe_load_all((ROOT / "deploy" / "install.yaml").read_text()):
        if body["kind"] == "StatefulSet":
            del body["spec"]["volumeClaimTemplates"]
            body["spec"]["template"]["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
        yield body


@contextlib.contextmanager
def installed(**arguments: str) -> Iterator[None]:
    """While it runs. `arguments`: of the deployer, in the place of those in the file."""
    given = list(bodies())
    for body in given:
        if body["kind"] == "Deployment":
            container = body["spec"]["template"]["spec"]["containers"][0]
            container["args"] = list(_with(container["args"], arguments))
    text = yaml.safe_dump_all(given)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=text)
    kubectl(
        *("-n", SYSTEM, "rollout", "status", "deployment/waypointd-deployer", f"--timeout={PATIENCE_S}s"),
        timeout=PATIENCE_S,
    )
    try:
        yield
    finally:
        kubectl("-n", SYSTEM, "delete", "deployment/waypointd-deployer", "statefulset/waypointd-redis")
        wait_until(lambda: not kubectl("-n", SYSTEM, "get", "pods", "-o", "name"), PATIENCE_S, "all Pods are gone")


def _with(arguments: list[str], other: dict[str, str]) -> Iterator[str]:
    for each in arguments:
        name = each.removeprefix("--").partition("=")[0]
        yield f"--{name}={other[name]}" if name in other else each
