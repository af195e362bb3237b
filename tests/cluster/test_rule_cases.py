"""The same DestinationRules as from files (`tests.rule_cases`), before a real API server with Istio's CRDs: what it
takes and what it refuses. Nothing is stored.
"""

from __future__ import annotations

import pytest

from proxy.kubernetes.api.faults import ApiFault
from tests.cluster.api_rig import RULES, Api
from tests.rule_cases import CASES, Case

pytestmark = pytest.mark.api

INVALID = (400, 422)


def refusal(api: Api, case: Case) -> str:
    """What is said against it; "" where it would be stored."""
    body = {
        "apiVersion": RULES.api_version,
        "kind": RULES.kind,
        "metadata": {"name": "case", "namespace": "default"},
        "spec": case.spec,
    }
    try:
        api.client.send("POST", RULES.path("default"), body, {"dryRun": "All", "fieldValidation": "Strict"})
    except ApiFault as fault:
        assert fault.status in INVALID, str(fault)
        return str(fault)
    return ""


def test_the_crd_takes_and_refuses_what_the_cases_say(api: Api) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for case in CASES:
        said = refusal(api, case)
        if (said == "") is not case.stored:
            otherwise.append(f"{case.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)
