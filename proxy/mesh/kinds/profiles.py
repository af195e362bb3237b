"""Who metrics say that a workload is: the names that Istio's have for it, from its owner and its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.mesh.model import Profile
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import metadata_of

_APP = ("app.kubernetes.io/name", "app")
_VERSION = ("app.kubernetes.io/version", "version")
_CANONICAL_NAME = "service.istio.io/canonical-name"
_CANONICAL_REVISION = "service.istio.io/canonical-revision"
_TEMPLATE_HASH = "pod-template-hash"
# A CronJob's Jobs are called after the minute that they are for.
_OF_CRON_JOB = re.compile(r"(.+)-\d{8,10}")


def profile(manifest: Manifest, labels: Mapping[str, str], body: Body) -> Profile:
    """Of a Pod, or of a WorkloadEntry with the labels that are its workload's."""
    name = _owner(manifest.name, labels, body)
    app, version = _first(labels, _APP), _first(labels, _VERSION)
    return Profile(
        workload=name,
        namespace=manifest.namespace,
        app=app,
        version=version,
        canonical_service=labels.get(_CANONICAL_NAME) or app or name,
        canonical_revision=labels.get(_CANONICAL_REVISION) or version or "latest",
    )


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _owner(name: str, labels: Mapping[str, str], body: Body) -> str:
    """The name of what controls the Pod, as istiod finds it (GetDeployMetaFromPod); without an owner the Pod's own, or
    the Deployment's that made it, as far as its name tells."""
    kind, owner = _controller(body)
    digest = labels.get(_TEMPLATE_HASH, "")
    if digest and kind in ("", "ReplicaSet"):
        found, behind, _ = (owner or name).rpartition(f"-{digest}")
        return found if behind else owner or name
    if kind == "Job" and (match := _OF_CRON_JOB.fullmatch(owner)):
        return match[1]
    return owner or name


def _controller(body: Body) -> tuple[str, str]:
    """Kind and name of the owner that controls it, "" for both without one."""
    owners = metadata_of(body).get("ownerReferences")
    for each in owners if isinstance(owners, list) else ():
        if isinstance(each, dict) and each.get("controller") is True:
            kind, name = each.get("kind"), each.get("name")
            if isinstance(kind, str) and isinstance(name, str):
                return kind, name
    return "", ""
