"""Every field of a DestinationRule, valid and not, as it is read from a file (`tests.rule_cases`)."""

from __future__ import annotations

from functools import reduce

import pytest

from proxy.mesh.resolving.load import Loader
from tests.rule_cases import CASES, Case
from tests.unit.mesh.mesh_rig import documents, loaded, rule, shop

SHOP = documents(*shop())


@pytest.fixture(scope="module")
def loader() -> Loader:
    """One for all: of what it has read before only the rule is read anew."""
    return Loader()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, loader: Loader) -> None:
    result = loader.load([*SHOP, *documents(rule(spec=case.spec))])
    told = [str(fault) for fault in result.faults]
    if case.refused:
        assert result.snapshot is None, "it is refused as a whole"
        assert any(case.refused in each for each in told), told
        assert all("DestinationRule shop/rule: spec" in each for each in told), "with its field"
    else:
        assert result.snapshot, told
        policy = result.snapshot.clusters["shop/cart:80"].policy
        for path, expected in case.reads.items():
            assert reduce(getattr, path.split("."), policy) == expected


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_all_versions_say_the_same(version: str) -> None:
    good = {**rule({"loadBalancer": {"simple": "RANDOM"}}), "apiVersion": f"networking.istio.io/{version}"}
    bad = {**rule({"loadBalancer": {"simple": "DICE"}}), "apiVersion": f"networking.istio.io/{version}"}
    assert loaded(*shop(good)).snapshot
    assert len(loaded(*shop(bad)).faults) == 1


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) > 300
    assert len({case.id for case in CASES}) > len(CASES) * 0.9
