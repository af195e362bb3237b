"""Whose a workload is, for metrics: its owner's name as istiod finds it, and what its labels say."""

from typing import Any

import pytest

from proxy.mesh.model import Profile
from tests.unit.mesh.mesh_rig import Object, clusters, endpoint_slice, member, pod, shop

POD = "cart-7d8f9b6c54-abc12"
HASH = {"pod-template-hash": "7d8f9b6c54"}


def profile(name: str = POD, owner: tuple[str, str] | None = None, **fields: Any) -> Profile:
    made: Object = pod(name, "10.0.0.1", **fields)
    if owner:
        kind, called = owner
        others = [{"kind": "Node", "name": "n"}, {"kind": kind, "name": called, "controller": True}]
        made["metadata"]["ownerReferences"] = others
    (found,) = clusters(*shop()[:3], endpoint_slice(member("10.0.0.1", name)), made)["shop/cart:80"].endpoints
    assert found.profile
    return found.profile


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (("ReplicaSet", "cart-7d8f9b6c54"), HASH, "cart"),
        (("ReplicaSet", "cart-7d8f9b6c54"), {}, "cart-7d8f9b6c54"),
        (("ReplicaSet", "by-hand"), HASH, "by-hand"),
        (("StatefulSet", "db"), {}, "db"),
        (("DaemonSet", "agent"), HASH, "agent"),
        (("Job", "tick-28471234"), {}, "tick"),
        (("Job", "once"), {}, "once"),
        (None, HASH, "cart"),
        (None, {}, POD),
    ],
)
def test_the_workload_is_what_made_the_pod(owner: tuple[str, str] | None, labels: Object, expected: str) -> None:
    assert profile(owner=owner, labels=labels).workload == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ("", "", POD, "latest")),
        ({"app": "a", "version": "v1"}, ("a", "v1", "a", "v1")),
        (
            {"app": "a", "app.kubernetes.io/name": "b", "app.kubernetes.io/version": "2", "version": "1"},
            ("b", "2", "b", "2"),
        ),
        (
            {"app": "a", "service.istio.io/canonical-name": "c", "service.istio.io/canonical-revision": "r"},
            ("a", "", "c", "r"),
        ),
    ],
)
def test_labels_say_app_version_and_canonical_names(labels: Object, expected: tuple[str, ...]) -> None:
    found = profile(labels=labels)
    assert (found.app, found.version, found.canonical_service, found.canonical_revision) == expected
    assert found.namespace == "shop"


def test_an_endpoint_whose_pod_is_not_known_has_none() -> None:
    (found,) = clusters(*shop()[:3], endpoint_slice(member("10.0.0.1", "x")))["shop/cart:80"].endpoints
    assert found.profile is None
