"""The same VirtualServices as from files (`tests.virtual_cases`), before a real API server with Istio's CRDs and before
the webhook of a real istiod: what they take and what they refuse. Nothing is stored.
"""

from __future__ import annotations

import pytest

from proxy.kubernetes.source.kinds import VIRTUAL_SERVICES
from tests.cluster.api_rig import Api
from tests.cluster.refusals import object_of, refusal_by_crd, refusal_by_istiod
from tests.virtual_cases import CASES


@pytest.mark.api
def test_the_crd_takes_and_refuses_what_the_cases_say(api: Api) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for case in CASES:
        said = refusal_by_crd(api, VIRTUAL_SERVICES, object_of(VIRTUAL_SERVICES, "default", case.spec))
        if (said == "") is not case.stored:
            otherwise.append(f"{case.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)


@pytest.mark.mesh
def test_istiod_takes_and_refuses_the_same_as_we_do() -> None:
    """But for claims of tokens, which it takes for gateways only."""
    otherwise = []
    for case in (each for each in CASES if each.stored):
        said = refusal_by_istiod(VIRTUAL_SERVICES, object_of(VIRTUAL_SERVICES, "shop", case.spec), case.id)
        if bool(said) is not bool(case.refused or case.gateway_only):
            otherwise.append(f"{case.id}: {said or 'it is taken'}, here {case.refused or 'too'}")
    assert not otherwise, "\n".join(otherwise)
