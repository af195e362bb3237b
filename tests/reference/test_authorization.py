"""Who gets in: manifests read, resolved and compiled, against the letter of the reference (authorization.py), and the
decision as Python runs it. A case is one request under some policies."""

from collections.abc import Sequence

import pytest

from proxy.controller.access_form import access_forms
from proxy.ipc.snapshot import AccessForm, ValueForm
from proxy.mesh.model import Cluster
from proxy.policy.shapes import ALLOWED
from proxy.policy.tokens.claims import spaced, texts
from tests.instruments.inspect_access import Judge
from tests.reference import authorization
from tests.reference.asked import Asked
from tests.reference.cases import FEW, MANY, Question, seeds
from tests.reference.drawn_policies import asked, policies
from tests.reference.paths import MODES, normal
from tests.unit.mesh.mesh_rig import Object, clusters, shop
from tests.unit.policy.accesses import Request, access_of, asked_of
from tests.unit.policy.interpreted import interpreted

policy = interpreted("access")


class Compiled:
    """What a worker would do with requests for a cluster, and what the sources say, run by Python."""

    def __init__(self, cluster: Cluster) -> None:
        self._forms = access_forms(cluster.access) if cluster.access else None
        self._judges: dict[tuple[int, int], tuple[Judge, list[str]]] = {}
        self._interpreted = [access_of(form) for form in self._forms or ()]

    def decision(self, asked: Asked) -> str:
        """By the compiled code."""
        if self._forms is None:
            return authorization.ALLOW
        judge, names = self._judge(0 if asked.method else 1, asked.port)
        said = spaced(asked.claims or {}, ())
        claims = [(at, each.encode()) for at, name in enumerate(names) for each in texts(said, name)]
        head = asked.head() if asked.method else b""
        peer = asked.peer if asked.source else b""
        identity = asked.identity.encode() or None
        found = judge.refuses(head, identity, peer, asked.target, claims, MODES.index(asked.mode))
        return {"": authorization.ALLOW, "400": authorization.AMBIGUOUS}.get(found, authorization.DENY)

    def _judge(self, kind: int, port: int) -> tuple[Judge, list[str]]:
        assert self._forms
        if (kind, port) not in self._judges:
            values = _values(form := self._forms[kind])
            names = list(dict.fromkeys(each["header"] for each in values if each["fact"] == "claim"))
            self._judges[kind, port] = Judge(form, port), names
        return self._judges[kind, port]

    def interpreted(self, asked: Asked) -> str:
        """By Python; its path is in its form."""
        if not self._interpreted:
            return authorization.ALLOW
        access, layout = self._interpreted[0 if asked.method else 1]
        request = Request(
            identity=asked.identity,
            method=asked.method,
            path=asked.path,
            host=asked.host,
            headers=asked.headers,
            source=asked.source,
            destination=asked.dialled,
            port=asked.port,
            claims=asked.claims,
        )
        ruling = policy.decide(access, asked_of(request, layout), [0] * policy.MEMO)
        return authorization.ALLOW if ruling == ALLOWED else authorization.DENY


def _values(form: AccessForm) -> list[ValueForm]:
    rules = [*form["deny"], *form["allow"]]
    clauses = [clause for rule in rules for clause in rule["clauses"]]
    return [value for clause in clauses for terms in clause for term in terms for value in term["values"]]


def differs(objects: Sequence[Object], requests: Sequence[Asked]) -> Asked | None:
    """A request that is not answered as the reference says."""
    made = Compiled(clusters(*shop(*objects))["shop/cart:80"])
    return next((each for each in requests if not _alike(made, objects, each)), None)


def _alike(made: Compiled, objects: Sequence[Object], asked: Asked) -> bool:
    expected = authorization.decision(objects, asked)
    changed = asked.path != normal(asked.path, asked.mode)
    return made.decision(asked) == expected and (changed or made.interpreted(asked) == expected)


QUESTION = Question(policies, asked, differs)


def test_a_few_cases() -> None:
    for seed in seeds(FEW):
        QUESTION.ask(seed)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_cases() -> None:
    for seed in seeds(MANY):
        QUESTION.ask(seed)
