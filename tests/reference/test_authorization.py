"""Who gets in: manifests read, resolved and compiled, against the letter of the reference (authorization.py), and the
decision as Python runs it. A case is one request under some policies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.controller.access_form import access_forms
from proxy.ipc.snapshot import AccessForm, ValueForm
from proxy.mesh.model import Cluster
from proxy.policy.shapes import ALLOWED
from proxy.policy.tokens.claims import spaced, texts
from tests.instruments.inspect_access import Judge
from tests.reference import authorization
from tests.reference.asked import Asked
from tests.reference.counts import EACH, FEW, MANY
from tests.reference.drawn_policies import REQUESTS, policies
from tests.reference.paths import MODES, normal
from tests.unit.mesh.mesh_rig import Object, clusters, shop
from tests.unit.policy.accesses import Request, access_of, asked_of
from tests.unit.policy.interpreted import interpreted

policy = interpreted("access")
ASKED = st.lists(REQUESTS, min_size=EACH, max_size=EACH)


class Compiled:
    """What a worker would do with requests for a cluster, and what the sources say, run by Python."""

    def __init__(self, cluster: Cluster) -> None:
        self._forms = access_forms(cluster.access) if cluster.access else None
        self._judges: dict[tuple[int, int], tuple[Judge, list[str]]] = {}
        self._interpreted = [access_of(form) for form in self._forms or ()]

    def decision(self, asked: Asked, mode: str) -> str:
        """By the compiled code."""
        if self._forms is None:
            return authorization.ALLOW
        judge, names = self._judge(0 if asked.method else 1, asked.port)
        said = spaced(asked.claims or {}, ())
        claims = [(at, each.encode()) for at, name in enumerate(names) for each in texts(said, name)]
        head = asked.head() if asked.method else b""
        peer = asked.peer if asked.source else b""
        identity = asked.identity.encode() or None
        found = judge.refuses(head, identity, peer, asked.target, claims, MODES.index(mode))
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


def compare(objects: list[Object], requests: list[Asked], mode: str) -> None:
    made = Compiled(clusters(*shop(*objects))["shop/cart:80"])
    for asked in requests:
        expected = authorization.decision(objects, asked, mode)
        assert made.decision(asked, mode) == expected, asked
        if asked.path == normal(asked.path, mode):
            assert made.interpreted(asked) == expected, asked


@given(policies(), ASKED, st.sampled_from(MODES))
@settings(max_examples=FEW, deadline=None)
def test_a_few_cases(objects: list[Object], requests: list[Asked], mode: str) -> None:
    compare(objects, requests, mode)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@given(policies(), ASKED, st.sampled_from(MODES))
@settings(max_examples=MANY, deadline=None)
def test_many_cases(objects: list[Object], requests: list[Asked], mode: str) -> None:
    compare(objects, requests, mode)
