"""Workloads: what a Pod or a WorkloadEntry says about how its endpoints are reached and who answers there.

The forms are Istio's: the annotation that its CNI puts on a captured Pod, the label of a workload that speaks HBONE by
itself (a list), and the label of a waypoint, which always does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from proxy.mesh.kinds.services import is_ip
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.metadata import is_subdomain
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, Check, boolean, matching, struct

REDIRECTION = "ambient.istio.io/redirection"
TUNNEL = "networking.istio.io/tunnel"
_MANAGED = "gateway.istio.io/managed"
_WAYPOINT = "istio.io-mesh-controller"
# Their addresses may belong to other Pods by now.
_FINISHED = frozenset({"Succeeded", "Failed"})

service_account: Check = matching(lambda name: not name or is_subdomain(name), "the name of a ServiceAccount")


@dataclass(frozen=True, slots=True)
class Workload:
    """`hbone` and `identity` are those of `model.Endpoint`."""

    name: str
    hbone: bool = False
    identity: str = ""


def speaks_hbone(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether a workload is reached through a tunnel to its port 15008."""
    # Not stripped: to Istio "http2, http" does not hold "http".
    return (
        annotations.get(REDIRECTION) == "enabled"
        or "http" in labels.get(TUNNEL, "").split(",")
        or labels.get(_MANAGED) == _WAYPOINT
    )


def identity(namespace: str, account: object) -> str:
    """A SPIFFE id after its trust domain, or "" without an account."""
    return f"ns/{namespace}/sa/{account}" if account else ""


def check(manifest: Manifest, report: Report) -> None:
    """Reports what is wrong with a Pod, of what is read here. Its status is the cluster's own writing."""
    spec = manifest.body.get("spec")
    if spec is not None:
        _pod_spec(At(manifest, report, ("spec",)), spec)


class Pods:
    """The Pods of all namespaces, out of manifests without faults."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._by_name: dict[tuple[str, str], Workload] = {}
        self._by_ip: dict[tuple[str, str], Workload] = {}
        for pod in manifests:
            spec, workload = pod.spec, _workload(pod)
            self._by_name[pod.namespace, pod.name] = workload
            # The address of a Pod in its node's network is that of the node, and others have it too.
            if not spec.get("hostNetwork") and _status(pod).get("phase") not in _FINISHED:
                self._by_ip.update(((pod.namespace, ip), workload) for ip in _ips(pod))

    def find(self, namespace: str, name: str, ip: str) -> Workload | None:
        """The Pod called `name` ("": unknown), else the one with that address; None if the manifests have neither."""
        return self._by_name.get((namespace, name)) or self._by_ip.get((namespace, ip))


_pod_spec = struct({"serviceAccountName": service_account, "hostNetwork": boolean}, closed=False)


def _workload(pod: Manifest) -> Workload:
    account = pod.spec.get("serviceAccountName")
    return Workload(pod.name, speaks_hbone(pod.labels, pod.annotations), identity(pod.namespace, account))


def _status(pod: Manifest) -> dict[str, Any]:
    status = pod.body.get("status")
    return status if isinstance(status, dict) else {}


def _ips(pod: Manifest) -> list[str]:
    status = _status(pod)
    more = status.get("podIPs")
    found = [status.get("podIP")]
    found += [entry.get("ip") for entry in more if isinstance(entry, dict)] if isinstance(more, list) else []
    return [ip_address(ip).compressed for ip in found if isinstance(ip, str) and is_ip(ip)]
