"""The same objects as from files (`tests.rule_cases` and the like), before a real API server with the CRDs of Istio and
the Gateway API, and before the webhook of a real istiod: what they take and what they refuse. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.source import kinds
from tests import entry_cases, route_cases, rule_cases, virtual_cases
from tests.cluster.api_rig import RULES, Api, Object
from tests.cluster.refusals import object_of, refusal_by_crd, refusal_by_istiod

NEWER = "backendUtilization"
"""A field of the CRDs that the istiod of the test cluster does not know yet."""


@dataclass(frozen=True)
class Row:
    """`stored`: the CRD takes it. `refused`: so istiod does not, by what we say of it."""

    id: str
    resource: Resource
    spec: Object
    stored: bool
    refused: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def body(self, namespace: str) -> Object:
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return object_of(self.resource, namespace, self.spec, **labels)


def of_rules() -> Iterator[Row]:
    for each in rule_cases.CASES:
        yield Row(each.id, RULES, each.spec, each.stored, each.refused)


def of_virtual_services() -> Iterator[Row]:
    """Routing by claims of tokens istiod takes for gateways only."""
    for each in virtual_cases.CASES:
        refused = each.refused or ("it is for gateways" if each.gateway_only else "")
        yield Row(each.id, kinds.VIRTUAL_SERVICES, each.spec, each.stored, refused)


def of_entries() -> Iterator[Row]:
    resources = {each.kind: each for each in (kinds.SERVICE_ENTRIES, kinds.WORKLOAD_ENTRIES)}
    for each in entry_cases.CASES:
        yield Row(each.id, resources[each.kind], each.spec, each.stored, each.refused, each.labels)


def of_routes() -> Iterator[Row]:
    resources = {each.kind: each for each in kinds.ROUTES}
    for each in route_cases.CASES:
        yield Row(each.id, resources[each.kind], each.whole, each.stored)


OF_ISTIO = {"DestinationRule": of_rules, "VirtualService": of_virtual_services, "entries": of_entries}
ALL = OF_ISTIO | {"routes": of_routes}


@pytest.mark.api
@pytest.mark.parametrize("kind", ALL)
def test_the_crd_takes_and_refuses_what_the_cases_say(api: Api, kind: str) -> None:
    """All in one test: a request each, and one list of what is otherwise."""
    otherwise = []
    for row in ALL[kind]():
        said = refusal_by_crd(api, row.resource, row.body("default"))
        if (said == "") is not row.stored:
            otherwise.append(f"{row.id}: {said or 'it is taken'}")
    assert not otherwise, "\n".join(otherwise)


@pytest.mark.mesh
@pytest.mark.parametrize("kind", OF_ISTIO)
def test_istiod_takes_and_refuses_the_same_as_we_do(kind: str) -> None:
    otherwise = []
    for row in OF_ISTIO[kind]():
        if not row.stored or NEWER in row.id:
            continue
        said = refusal_by_istiod(row.resource, row.body("shop"), row.id)
        if bool(said) is not bool(row.refused):
            otherwise.append(f"{row.id}: {said or 'it is taken'}, here {row.refused or 'too'}")
    assert not otherwise, "\n".join(otherwise)
