"""VirtualServices as Hypothesis makes them up, for the objects of test_increments.py."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.mesh.mesh_rig import virtual
from tests.unit.mesh.route_strategies import FULL, NAMESPACES, one_of

to = one_of(
    {"host": "cart"},
    {"host": "till.far.svc.cluster.local"},
    {"host": FULL, "subset": "some"},
    {"host": "a.example", "port": {"number": 80}},
)
ways = st.one_of(
    st.lists(to, min_size=1, max_size=2).map(
        lambda all: {"route": [{"destination": each, "weight": 1} for each in all]}
    ),
    st.builds(lambda first, copy: {"route": [{"destination": first}], "mirror": copy}, to, to),
    one_of(*({"match": [{"port": 80}], "delegate": {"name": "basket", "namespace": each}} for each in ("shop", "far"))),
)
virtuals = st.one_of(
    st.builds(
        lambda hosts, ways, scopes, name, ns, created: virtual(
            *({"hosts": hosts, "http": ways, "exportTo": scopes}, name, ns), creationTimestamp=created
        ),
        *(one_of(["cart"], [FULL, "till"], ["*.far.svc.cluster.local"], ["a.example"], ["*.example"]),),
        *(st.lists(ways, min_size=1, max_size=2), one_of(None, ["."], ["shop"]), one_of("v", "w"), NAMESPACES),
        one_of(None, "2025-01-01T00:00:00Z"),
    ),
    st.builds(
        lambda first, scopes, ns: virtual(
            {"http": [{"route": [{"destination": first}]}], "exportTo": scopes}, "basket", ns
        ),
        *(to, one_of(None, ["."]), NAMESPACES),
    ),
)
