"""The Gateway API's official suite: all tests of its mesh and of its gateway profile that must pass, as `make
conformance` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.api_rig import Api
from tests.cluster.conformance import suite
from tests.cluster.conformance.profiles import PROFILES

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["mesh", "gateway"])
def test_a_profile_passes(api: Api, tmp_path: Path, name: str) -> None:
    """With 10 equal answers in a row, in the mesh profile with requests of others in between."""
    if not api.cluster.istiod or not suite.SUITE.exists():
        pytest.skip("the cluster has no istiod, or tests/cluster/conformance/build has not been run")
    found = PROFILES[name].run(api, tmp_path)
    log = (tmp_path / "suite.log").read_text(errors="replace")
    assert {each.test for each in found if each.passed} == set(PROFILES[name].expected), log[-20_000:]
