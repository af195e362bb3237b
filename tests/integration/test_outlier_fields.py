"""What clients see of minHealthPercent and outlierDetectionHttpErrorCodes."""

from pathlib import Path

import pytest

from state.server.embedded import Embedded
from tests.rig import endpoints, manifests_for, replica, wait_until

RULE = {"consecutive5xxErrors": 1, "maxEjectionPercent": 100, "baseEjectionTime": "600s"}


@pytest.mark.parametrize(("percent", "all_get_requests"), [(50, True), (33, False)], ids=["W17 below", "W17 not below"])
def test_w17(percent: int, all_get_requests: bool, valkey: Embedded, tmp_path: Path) -> None:
    """Two of three are out: 33 % are in."""
    with (
        endpoints(3) as members,
        manifests_for(members, minHealthPercent=percent, **RULE) as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url) as made,
    ):
        assert len(set(made.hostnames(3))) == 3
        for bad in members[:2]:
            bad.status = 503
        wait_until(lambda: made.hostname() and _ejected(made.info("/clusters")) == 2, 10, "two are out")
        for bad in members[:2]:
            bad.status = 200
        assert len(set(made.hostnames(6))) == (3 if all_get_requests else 1)
        assert _ejected(made.info("/clusters")) == 2, "what succeeds in panic puts nobody back"


@pytest.mark.parametrize(("status", "out"), [(429, True), (500, False)], ids=["W11 listed", "W11 not listed"])
def test_w11(status: int, out: bool, valkey: Embedded, tmp_path: Path) -> None:
    """Codes [429]: a 429 is a failure, a 500 is none."""
    with (
        endpoints(3) as members,
        manifests_for(members, outlierDetectionHttpErrorCodes=[429], **RULE) as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url) as made,
    ):
        members[0].status = status
        said = made.hostnames(9)
        assert said.count(str(status)) == (1 if out else 3)
        assert _ejected(made.info("/clusters")) == (1 if out else 0)


def _ejected(clusters: list[dict[str, list[dict[str, bool]]]]) -> int:
    return sum(endpoint["ejected"] for each in clusters for endpoint in each["endpoints"])
