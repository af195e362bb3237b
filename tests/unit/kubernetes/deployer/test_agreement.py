"""What is said in a route's status against what waypoints put in force, for routes that Hypothesis makes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.kubernetes.deployer.bound import service_of
from proxy.kubernetes.deployer.routes import Around, parents
from proxy.kubernetes.deployer.wish import read
from tests.unit.mesh.mesh_rig import clusters, gateway, listener, namespace, service
from tests.unit.mesh.route_rig import TO_CART, TO_GATEWAY, grpc, http

Object = dict[str, Any]
BOUND = {"istio.io/use-waypoint": "wp"}
CART = service(ports=[{"name": "http", "port": 80}, {"name": "web", "port": 8080}])
HOSTS = ("a.example", "b.example", "*.example", "x.test")
KINDS: tuple[Object, ...] = ({}, {"kinds": [{"kind": "HTTPRoute"}]}, {"kinds": [{"kind": "GRPCRoute"}]})

doors = st.builds(
    lambda port, hostname, scope, kinds: listener(
        f"port-{port}",
        port,
        **({"hostname": hostname} if hostname else {}),
        allowedRoutes={"namespaces": {"from": scope}, **kinds},
    ),
    st.sampled_from((80, 8080)),
    st.sampled_from(("", *HOSTS)),
    st.sampled_from(("Same", "All")),
    st.sampled_from(KINDS),
)
refs = st.builds(
    lambda to, part: {**to, "namespace": "shop", **part},
    st.sampled_from((TO_CART, TO_GATEWAY)),
    st.sampled_from(({}, {}, {"port": 80}, {"port": 8080}, {"sectionName": "port-80"}, {"sectionName": "web"})),
)
routes = st.lists(
    st.tuples(
        *(st.sampled_from((http, grpc)), st.sampled_from(("a", "b", "c")), st.sampled_from(("shop", "shop", "far"))),
        st.lists(refs, min_size=1, max_size=2, unique_by=lambda ref: ref.get("kind")),
        st.lists(st.sampled_from(HOSTS), max_size=2, unique=True),
        st.sampled_from(("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")),
    ).map(lambda drawn: drawn[0](drawn[1], ns=drawn[2], parents=drawn[3], hostnames=drawn[4], created=drawn[5])),
    min_size=1,
    max_size=5,
    unique_by=lambda route: (route["kind"], route["metadata"]["name"], route["metadata"]["namespace"]),
)


def accepted(route: Object, door: Object, those: Sequence[Object]) -> set[str]:
    """The kinds of its parents that are said to accept it."""
    wish = read({**door, "metadata": {**door["metadata"], "uid": "1"}})
    around = Around(
        gateway=lambda namespace, name: wish if f"{namespace}/{name}" == wish.id else None,
        service=lambda *name: service_of(CART) if name == ("Service", "shop", "cart") else None,
        labels=lambda namespace: BOUND if namespace == "shop" else {},
        sharing=lambda _: those,
    )
    said = parents(route, around, "2026-11-30T12:00:00Z")
    well = (each["parentRef"] for each in said if each["conditions"][0]["status"] == "True")
    return {each.get("kind", "Gateway") for each in well}


@settings(max_examples=40, deadline=None)
@given(st.lists(doors, min_size=1, max_size=2, unique_by=lambda door: door["port"]), routes)
def test_who_is_accepted_is_in_force(listeners: list[Object], those: list[Object]) -> None:
    """A1, A5, A6, A14, A15, H2, H3. Of one listener a port, so that no host is another's."""
    door = gateway(*listeners)
    found = clusters(namespace("shop", BOUND), namespace("far", {}), door, CART, *those)
    rules = {
        (name.partition(":")[0], rule.name.partition(" rule ")[0])
        for name, cluster in found.items()
        for rule in (cluster.routing.rules if cluster.routing else ())
    }
    for route in those:
        called = f"{route['kind']} {route['metadata']['namespace']}/{route['metadata']['name']}"
        of = {kind for kind, parent in (("Service", "shop/cart"), ("Gateway", "shop/wp")) if (parent, called) in rules}
        assert accepted(route, door, those) == of
