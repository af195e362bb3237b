"""Which rule a request is for: manifests read, resolved and compiled, against the letter of the reference (routing.py).
A case is one request under some routes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.controller.route_form import routing_form
from proxy.mesh.model import Cluster
from proxy.policy.tokens.claims import spaced, texts
from proxy.relay.routing.plan import Plan
from tests.instruments.inspect_access import normalised
from tests.instruments.inspect_routing import rule_for
from tests.reference import routing
from tests.reference.asked import Asked
from tests.reference.counts import EACH, FEW, MANY
from tests.reference.drawn_routes import REQUESTS, routes, virtuals
from tests.unit.mesh.mesh_rig import Object, clusters, endpoint_slice, gateway, hbone, namespace, service

PORTS = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "more", "port": 8080, "targetPort": 8080}]
AROUND = (namespace(), namespace("far", {}), gateway(hbone()), service(ports=PORTS), endpoint_slice())
ASKED = st.lists(REQUESTS, min_size=EACH, max_size=EACH)


class Found:
    """The rules that a worker would find for requests of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._plan = Plan(routing_form(cluster.routing)) if cluster.routing else None

    def rule(self, asked: Asked) -> str:
        """Its name."""
        if self._plan is None:
            return routing.ITSELF
        path = normalised(asked.path.encode())
        if path is None:
            return routing.AMBIGUOUS
        head = Asked(**{**vars(asked), "path": path.decode()}).head()
        said = spaced(asked.claims or {}, ())
        claims = [(at, each.encode()) for at, name in enumerate(self._plan.claims) for each in texts(said, name)]
        found = rule_for(self._plan, head, asked.identity.encode() or None, claims=claims) or routing.NOBODY
        return routing.ITSELF if found == "default" else found


def compiled(objects: list[Object]) -> dict[int, Found]:
    """By port."""
    made = clusters(*AROUND, *objects)
    return {port: Found(made[f"shop/cart:{port}"]) for port in (80, 8080)}


def compare_routes(objects: list[Object], requests: list[Asked]) -> None:
    made = compiled(objects)
    for asked in requests:
        found = made[asked.port].rule(asked)
        shown = found.removeprefix("HTTPRoute ").replace(" rule ", " ")
        assert shown == routing.rule_for(objects, asked), asked


def compare_virtual(virtual: Object, requests: list[Asked]) -> None:
    made = compiled([virtual])
    for asked in requests:
        found = made[asked.port].rule(asked)
        assert found.removeprefix("VirtualService shop/v rule ") == routing.virtual_rule(virtual, asked), asked


@given(routes(), ASKED)
@settings(max_examples=FEW, deadline=None)
def test_a_few_cases_of_routes(objects: list[Object], requests: list[Asked]) -> None:
    compare_routes(objects, requests)


@given(virtuals, ASKED)
@settings(max_examples=FEW, deadline=None)
def test_a_few_cases_of_virtual_services(virtual: Object, requests: list[Asked]) -> None:
    compare_virtual(virtual, requests)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@given(routes(), ASKED)
@settings(max_examples=MANY, deadline=None)
def test_many_cases_of_routes(objects: list[Object], requests: list[Asked]) -> None:
    compare_routes(objects, requests)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@given(virtuals, ASKED)
@settings(max_examples=MANY, deadline=None)
def test_many_cases_of_virtual_services(virtual: Object, requests: list[Asked]) -> None:
    compare_virtual(virtual, requests)
