"""Which rule a request is for: manifests read, resolved and compiled, against the letter of the reference (routing.py).
A case is one request under some routes."""

from collections.abc import Sequence

import pytest

from proxy.controller.route_form import routing_form
from proxy.mesh.model import Cluster
from proxy.policy.tokens.claims import spaced, texts
from proxy.relay.routing.plan import Plan
from tests.instruments.inspect_access import normalised
from tests.instruments.inspect_routing import rule_for
from tests.reference import routing
from tests.reference.asked import Asked
from tests.reference.cases import FEW, MANY, Question, seeds
from tests.reference.drawn_routes import asked, routes, virtual
from tests.unit.mesh.mesh_rig import Object, clusters, endpoint_slice, gateway, hbone, namespace, service

PORTS = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "more", "port": 8080, "targetPort": 8080}]
AROUND = (namespace(), namespace("far", {}), gateway(hbone()), service(ports=PORTS), endpoint_slice())


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
        head = asked.of(path.decode()).head()
        said = spaced(asked.claims or {}, ())
        claims = [(at, each.encode()) for at, name in enumerate(self._plan.claims) for each in texts(said, name)]
        found = rule_for(self._plan, head, asked.identity.encode() or None, claims=claims) or routing.NOBODY
        return routing.ITSELF if found == "default" else found.replace(" rule ", " ")


def compiled(objects: Sequence[Object]) -> dict[int, Found]:
    """By port."""
    made = clusters(*AROUND, *objects)
    return {port: Found(made[f"shop/cart:{port}"]) for port in (80, 8080)}


def differs(objects: Sequence[Object], requests: Sequence[Asked]) -> Asked | None:
    """A request that is not for the rule that the reference says."""
    made = compiled(objects)
    wanted = routing.virtual_rule if objects[0]["kind"] == "VirtualService" else routing.rule_for
    return next((each for each in requests if made[each.port].rule(each) != wanted(objects, each)), None)


QUESTIONS = {"routes": Question(routes, asked, differs), "virtual-services": Question(virtual, asked, differs)}


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_few_cases(kind: str) -> None:
    for seed in seeds(FEW):
        QUESTIONS[kind].ask(seed)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", QUESTIONS)
def test_many_cases(kind: str) -> None:
    for seed in seeds(MANY):
        QUESTIONS[kind].ask(seed)
