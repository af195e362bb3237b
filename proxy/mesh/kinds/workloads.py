"""Workloads: what a Pod or a WorkloadEntry says about how its endpoints are reached and who answers there.

The forms are Istio's: the annotation that its CNI puts on a captured Pod, the label of a workload that speaks HBONE by
itself (a list), and the label of a waypoint, which always does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from sys import intern
from typing import Any

from proxy.mesh.kinds.addresses import is_ip
from proxy.mesh.kinds.conditions import condition
from proxy.mesh.kinds.profiles import profile
from proxy.mesh.model import Profile
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_subdomain, metadata_of, texts_of
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import boolean, matching, spec, text

DATAPLANE = "istio.io/dataplane-mode"
REDIRECTION = "ambient.istio.io/redirection"
TUNNEL = "networking.istio.io/tunnel"
_MANAGED = "gateway.istio.io/managed"
_WAYPOINT = "istio.io-mesh-controller"
# Their addresses may belong to other Pods by now.
_FINISHED = ("Succeeded", "Failed")

Labels = frozenset[tuple[str, str]]
NO_LABELS: Labels = frozenset()

service_account = matching(lambda name: not name or is_subdomain(name), "the name of a ServiceAccount")


@dataclass(frozen=True, slots=True)
class Workload:
    """`hbone`, `identity` and `profile` are those of `model.Endpoint`."""

    name: str
    hbone: bool = False
    identity: str = ""
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A valid Pod. `ips` are its own addresses, as far as it has some that are no other's."""

    workload: Workload
    ips: tuple[str, ...]
    created: str
    forgotten: bool = False
    """Whether it is labelled for the mesh, and nothing says that it was captured."""
    labels: Labels = NO_LABELS
    node: str = ""
    """The Node that it runs on, "" before it is given one."""
    ready_since_ms: int = 0
    """When it became ready, in ms since 1970; 0: it is not, or nothing says so."""
    ready: bool = True
    """As far as anything says otherwise."""


def speaks_hbone(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether a workload is reached through a tunnel to its port 15008."""
    # Not stripped: to Istio "http2, http" does not hold "http".
    return (
        annotations.get(REDIRECTION) == "enabled"
        or "http" in labels.get(TUNNEL, "").split(",")
        or labels.get(_MANAGED) == _WAYPOINT
    )


def identity(namespace: str, account: str) -> str:
    """A SPIFFE id after its trust domain, or "" without an account."""
    return f"ns/{namespace}/sa/{account}" if account else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    service_account_name: str = optional(service_account, "")
    host_network: bool = optional(boolean, False)
    node_name: str = optional(text, "")


_spec = struct(_Spec, closed=False)


def read(manifest: Manifest, body: Body, report: Report) -> Pod:
    """The Pod, of what is read here. Its status is the cluster's own writing."""
    found = spec(manifest, body, report, _spec, required=False) or _Spec(
        service_account_name="", host_network=False, node_name=""
    )
    hbone = speaks_hbone(manifest.labels, texts_of(body, "annotations"))
    account = identity(manifest.namespace, found.service_account_name)
    workload = Workload(manifest.name, hbone, account, profile(manifest, manifest.labels, body))
    status = body.get("status")
    # The address of a Pod in its node's network is that of the node, and others have it too.
    shared = found.host_network or not isinstance(status, dict) or status.get("phase") in _FINISHED
    forgotten = manifest.labels.get(DATAPLANE) == "ambient" and not hbone
    labels = _shared(frozenset(manifest.labels.items()))
    found_ready = condition(body, "Ready")
    since = found_ready.since_ms if found_ready and found_ready.is_true else 0
    ready = not metadata_of(body).get("deletionTimestamp") and (found_ready is None or found_ready.is_true)
    ips = () if shared else _ips(status)
    return Pod(workload, ips, manifest.created, forgotten, labels, intern(found.node_name), since, ready)


@lru_cache(maxsize=4096)
def _shared(labels: Labels) -> Labels:
    """The same object for all Pods of a ReplicaSet, of which there are thousands with the same labels."""
    return labels


def _ips(status: Any) -> tuple[str, ...]:
    more = status.get("podIPs")
    found = [status.get("podIP")]
    found += [entry.get("ip") for entry in more if isinstance(entry, dict)] if isinstance(more, list) else []
    good = (ip_address(ip).compressed for ip in found if isinstance(ip, str) and is_ip(ip))
    return tuple(dict.fromkeys(good))
