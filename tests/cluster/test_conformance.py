"""The Gateway API's official suite: all of its mesh profile, and of its gateway profile what is said of Gateways.

The Pods of the latter's Gateways are stand-ins that are only ready (kit/ready.py): it takes little time, and an HTTPS
listener alone would never be ready with this version of waypointd. All of that profile: `make conformance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.api_rig import Api
from tests.cluster.conformance import suite
from tests.cluster.conformance.profiles import PROFILES
from tests.cluster.deployer_rig import PATIENCE_S, Yard
from tests.rig import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PASSES = frozenset(
    {
        "GatewayClassObservedGenerationBump",
        "GatewayInfrastructure",
        "GatewayInvalidParametersRef",
        "GatewayInvalidRouteKind",
        "GatewayInvalidTLSConfiguration",
        "GatewayListenerUnsupportedProtocol",
        "GatewayModifyListeners",
        "GatewayObservedGenerationBump",
        "GatewayOptionalAddressValue",
        "GatewaySecretInvalidReferenceGrant",
        "GatewaySecretMissingReferenceGrant",
        "GatewayStaticAddresses",
        "GatewayWithAttachedRoutes",
        "GatewayWithAttachedRoutesWithPort8080",
    }
)
NOT_YET = frozenset({"GatewaySecretReferenceGrantAllInNamespace", "GatewaySecretReferenceGrantSpecific"})
"""They want an HTTPS listener that is served. As long as they wait for it, they permit what
GatewaySecretInvalidReferenceGrant, which runs beside them, wants to see refused: so they are not run."""
FEATURES = (
    *("Gateway", "HTTPRoute", "ReferenceGrant", "GatewayPort8080", "GatewayStaticAddresses", "GatewayAddressEmpty"),
    "GatewayInfrastructurePropagation",
)
TIMES = (
    *("NamespacesMustBeReady:120", "GatewayMustHaveAddress:30", "GatewayMustHaveCondition:30"),
    *("GatewayStatusMustHaveListeners:30", "GatewayListenersMustHaveConditions:30", "LatestObservedGenerationSet:30"),
    "HTTPRouteMustHaveCondition:30",
)


@pytest.fixture
def yard(api: Api) -> Iterator[Yard]:
    if not suite.SUITE.exists():
        pytest.skip("tests/cluster/conformance/build has not been run")
    with Yard.made(api) as made:
        yield made


def passed(class_name: str, folder: Path) -> dict[str, bool]:
    """Whether, by test."""
    flags = (
        *(f"--gateway-class={class_name}", f"--skip-tests={','.join(sorted(NOT_YET))}"),
        *("--usable-address=10.96.200.7", "--unusable-address=192.0.2.9"),
    )
    log = suite.run(folder, "^Gateway", "GATEWAY-HTTP", FEATURES, TIMES, *flags)
    print(log[-20_000:])
    return {each.test: each.passed for each in suite.outcomes(log)}


@pytest.mark.mesh
def test_the_mesh_profile_passes(api: Api, tmp_path: Path) -> None:
    """With 10 equal answers in a row, and requests of others in between."""
    if not api.cluster.istiod or not suite.SUITE.exists():
        pytest.skip("the cluster has no istiod, or tests/cluster/conformance/build has not been run")
    found = PROFILES["mesh"].run(api, tmp_path)
    assert not suite.lost(PROFILES["mesh"].expected, found), (tmp_path / "suite.log").read_text(errors="replace")[
        -20_000:
    ]


def test_the_official_suite_is_content_with_what_is_said(yard: Yard, tmp_path: Path) -> None:
    if not yard.api.cluster.images:
        pytest.skip("the cluster has no node")
    with yard.deployer(tmp_path, "--replicas", "1") as deployer:
        wait_until(deployer.leads, PATIENCE_S, "it leads")
        found = passed(yard.class_name, tmp_path)
    well = {name for name, how in found.items() if how}
    assert well >= PASSES, f"lost: {sorted(PASSES - well)}"
    assert well == found.keys() - NOT_YET, f"not expected: {sorted(found.keys() - NOT_YET - well)}"
