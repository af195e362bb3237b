"""Every field of ServiceEntry and WorkloadEntry, valid and not, as it is read from a file (`tests.entry_cases`)."""

from __future__ import annotations

import pytest

from proxy.mesh.resolving.load import Loader
from tests.entry_cases import CASES, Case
from tests.unit.mesh.mesh_rig import documents, shop, thing

SHOP = documents(*shop())


@pytest.fixture(scope="module")
def loader() -> Loader:
    """One for all: of what it has read before only the entry is read anew."""
    return Loader()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, loader: Loader) -> None:
    given = thing(case.kind, "networking.istio.io/v1", "case", labels=dict(case.labels), spec=case.spec)
    result = loader.load([*SHOP, *documents(given)])
    told = [str(fault) for fault in result.faults]
    if case.refused:
        assert result.snapshot is None, "it is refused as a whole"
        assert any(case.refused in each for each in told), told
        assert all(f"{case.kind} shop/case: spec" in each for each in told), "with its field"
    else:
        assert result.snapshot, told


def test_each_case_has_a_name_of_its_own() -> None:
    assert len(CASES) > 150
    assert len({case.id for case in CASES}) == len(CASES)
