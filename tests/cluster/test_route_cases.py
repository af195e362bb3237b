"""The same routes as from files (`tests.route_cases`), before a real API server with the CRDs of the Gateway API."""

from __future__ import annotations

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import Api
from tests.cluster.refusals import object_of, refusal_by_crd
from tests.route_cases import CASES

RESOURCES = {each.kind: each for each in kinds.ROUTES}


@pytest.mark.api
def test_the_crds_take_and_refuse_what_the_cases_say(api: Api) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for case in CASES:
        resource = RESOURCES[case.kind]
        said = refusal_by_crd(api, resource, object_of(resource, "default", case.whole))
        if (said == "") is not case.stored:
            otherwise.append(f"{case.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)
