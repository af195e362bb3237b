"""The same ServiceEntries and WorkloadEntries as from files (`tests.entry_cases`), before a real API server and the
webhook of a real istiod: what they take and what they refuse.
"""

from __future__ import annotations

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import Api
from tests.cluster.refusals import object_of, refusal_by_crd, refusal_by_istiod
from tests.entry_cases import CASES

RESOURCES = {each.kind: each for each in (kinds.SERVICE_ENTRIES, kinds.WORKLOAD_ENTRIES)}


@pytest.mark.api
def test_the_crd_takes_and_refuses_what_the_cases_say(api: Api) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for case in CASES:
        resource = RESOURCES[case.kind]
        said = refusal_by_crd(api, resource, object_of(resource, "default", case.spec, labels=dict(case.labels)))
        if (said == "") is not case.stored:
            otherwise.append(f"{case.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)


@pytest.mark.mesh
def test_istiod_takes_and_refuses_the_same_as_we_do() -> None:
    otherwise = []
    for case in (each for each in CASES if each.stored):
        resource = RESOURCES[case.kind]
        said = refusal_by_istiod(resource, object_of(resource, "shop", case.spec, labels=dict(case.labels)), case.id)
        if bool(said) is not bool(case.refused):
            otherwise.append(f"{case.id}: {said or 'it is taken'}, here {case.refused or 'too'}")
    assert not otherwise, "\n".join(otherwise)
