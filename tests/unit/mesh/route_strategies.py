"""Routes and grants as Hypothesis makes them up, for the objects of test_increments.py."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.mesh.mesh_rig import thing

NAMESPACES = st.sampled_from(["shop", "shop", "far", "istio-system"])
FULL = "cart.shop.svc.cluster.local"


def one_of(*choices: Any) -> Any:
    return st.sampled_from(choices)


GATEWAY_API = "gateway.networking.k8s.io"
routes = st.builds(
    lambda kind, name, ns, parents, refs, created, hosts: thing(
        *(kind, f"{GATEWAY_API}/v1", name, ns),
        creationTimestamp=created,
        spec={"parentRefs": parents, "hostnames": hosts, "rules": [{"backendRefs": refs}]},
    ),
    *(one_of("HTTPRoute", "HTTPRoute", "GRPCRoute"), one_of("r", "s"), NAMESPACES),
    st.lists(
        one_of(
            {"group": "", "kind": "Service", "name": "cart", "namespace": "shop"},
            {"group": "", "kind": "Service", "name": "till", "namespace": "far", "port": 80},
            {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "ext"},
            {"name": "wp", "namespace": "shop"},
        ),
        max_size=2,
        unique_by=lambda ref: ref["name"],
    ),
    st.lists(
        one_of(
            {"name": "cart", "port": 80},
            {"name": "till", "namespace": "far", "port": 80},
            {"name": "till", "namespace": "shop", "port": 81, "weight": 0},
            {"name": "a.example", "group": "networking.istio.io", "kind": "Hostname", "port": 443},
            {"name": FULL, "group": "networking.istio.io", "kind": "Hostname", "port": 80},
        ),
        max_size=2,
    ),
    one_of(None, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    one_of(None, ["a.example"], ["*.example", "cart.shop"]),
)
grants = st.builds(
    lambda ns, asker, kind, name: thing(
        *("ReferenceGrant", f"{GATEWAY_API}/v1beta1", "grant", ns),
        spec={
            "from": [{"group": GATEWAY_API, "kind": kind, "namespace": asker}],
            "to": [{"group": "", "kind": "Service", "name": name}],
        },
    ),
    *(NAMESPACES, NAMESPACES, one_of("HTTPRoute", "GRPCRoute"), one_of(None, "cart", "till")),
)
