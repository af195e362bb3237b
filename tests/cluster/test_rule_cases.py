"""The same DestinationRules as from files (`tests.rule_cases`), before a real API server with Istio's CRDs and before
the webhook of a real istiod: what they take and what they refuse. Nothing is stored.
"""

from __future__ import annotations

import pytest

from tests.cluster.api_rig import RULES, Api
from tests.cluster.refusals import object_of, refusal_by_crd, refusal_by_istiod
from tests.rule_cases import CASES

NEWER = "backendUtilization"
"""A field of the CRDs that the istiod of the test cluster does not know yet."""


@pytest.mark.api
def test_the_crd_takes_and_refuses_what_the_cases_say(api: Api) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for case in CASES:
        said = refusal_by_crd(api, RULES, object_of(RULES, "default", case.spec))
        if (said == "") is not case.stored:
            otherwise.append(f"{case.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)


@pytest.mark.mesh
def test_istiod_takes_and_refuses_the_same_as_we_do() -> None:
    otherwise = []
    for case in (each for each in CASES if each.stored and NEWER not in each.id):
        said = refusal_by_istiod(RULES, object_of(RULES, "shop", case.spec), case.id)
        if bool(said) is not bool(case.refused):
            otherwise.append(f"{case.id}: {said or 'it is taken'}, here {case.refused or 'too'}")
    assert not otherwise, "\n".join(otherwise)
