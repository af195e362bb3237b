"""The same DestinationRules as from files (`tests.rule_cases`), before a real API server with Istio's CRDs and before
the webhook of a real istiod: what they take and what they refuse. Nothing is stored.
"""

from __future__ import annotations

import json
import ssl
import urllib.request

import pytest

from proxy.kubernetes.api.faults import ApiFault
from tests.cluster.api_rig import RULES, Api, Object
from tests.rule_cases import CASES, Case

INVALID = (400, 422)
WEBHOOK = "https://127.0.0.1:15017/validate"
NEWER = "backendUtilization"
"""A field of the CRDs that the istiod of the test cluster does not know yet."""


def rule_of(case: Case, namespace: str) -> Object:
    metadata = {"name": "case", "namespace": namespace}
    return {"apiVersion": RULES.api_version, "kind": RULES.kind, "metadata": metadata, "spec": case.spec}


def refusal_by_crd(api: Api, case: Case) -> str:
    """What is said against it; "" where it would be stored."""
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    try:
        api.client.send("POST", RULES.path("default"), rule_of(case, "default"), query)
    except ApiFault as fault:
        assert fault.status in INVALID, str(fault)
        return str(fault)
    return ""


def refusal_by_istiod(case: Case) -> str:
    """The same of its ValidateDestinationRule, which an API server asks about what its CRD lets pass."""
    request = {
        "uid": case.id,
        "kind": {"group": RULES.group, "version": RULES.version, "kind": RULES.kind},
        "resource": {"group": RULES.group, "version": RULES.version, "resource": RULES.plural},
        "operation": "CREATE",
        "namespace": "shop",
        "name": "case",
        "object": rule_of(case, "shop"),
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    asked = urllib.request.Request(WEBHOOK, json.dumps(review).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30, context=trusting) as answer:
        response = json.load(answer)["response"]
    return "" if response["allowed"] else str(response["status"]["message"])


@pytest.mark.api
def test_the_crd_takes_and_refuses_what_the_cases_say(api: Api) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for case in CASES:
        said = refusal_by_crd(api, case)
        if (said == "") is not case.stored:
            otherwise.append(f"{case.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)


@pytest.mark.mesh
def test_istiod_takes_and_refuses_the_same_as_we_do() -> None:
    otherwise = []
    for case in (each for each in CASES if each.stored and NEWER not in each.id):
        said = refusal_by_istiod(case)
        if bool(said) is not bool(case.refused):
            otherwise.append(f"{case.id}: {said or 'it is taken'}, here {case.refused or 'too'}")
    assert not otherwise, "\n".join(otherwise)
