"""What clients see of minHealthPercent and outlierDetectionHttpErrorCodes."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

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


def _closes(at: tuple[str, int]) -> Iterator[socket.socket]:
    """Somebody who takes connections there and closes them when a request has come."""
    with socket.create_server(at) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    taken.recv(65536)
                    taken.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listening
        listening.shutdown(socket.SHUT_RDWR)


closes = contextmanager(_closes)
SPLIT = {"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 2, "consecutive5xxErrors": 2}
GATEWAY = {"consecutive5xxErrors": 9, "consecutiveGatewayErrors": 2}


@pytest.mark.parametrize(
    ("fields", "fault", "reason"),
    [
        pytest.param(GATEWAY, "503", "consecutive_gateway_failure", id="1.4 consecutiveGatewayErrors"),
        pytest.param(GATEWAY, "closed", "consecutive_gateway_failure", id="2.1 reset before headers: cgw+1"),
        pytest.param(SPLIT, "refused", "consecutive_local_origin_failure", id="W9"),
        pytest.param(SPLIT, "closed", "", id="W10 what follows a connection never reaches the threshold"),
    ],
)
def test_which_counter(fields: dict[str, Any], fault: str, reason: str, valkey: Embedded, tmp_path: Path) -> None:
    rule = RULE | fields
    with (
        endpoints(2) as members,
        manifests_for(members, **rule) as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url) as made,
        ExitStack() as meanwhile,
    ):
        bad = members[0]
        if fault == "503":
            bad.status = 503
        else:
            bad.kill()
        if fault == "closed":
            meanwhile.enter_context(closes((bad.ip, bad.port)))
        made.hostnames(12)
        if not reason:
            assert _ejected(made.info("/clusters")) == 0
            return
        (out,) = wait_until(lambda: made.info("/ejections")["ejections"], 10, "it is out")
        assert out["why"] == f"{reason}=2"
        wait_until(lambda: any(f"{reason}=2 " in line for line in made.waypoint.ejections()), 5, "the log says so")


def test_w18_what_is_under_way_completes(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints(2) as members,
        manifests_for(members, **RULE) as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url) as made,
        ThreadPoolExecutor(4) as pool,
    ):
        slow = members[0]
        slow.delay = 2.0
        under_way = [pool.submit(made.hostname) for _ in range(4)]
        wait_until(lambda: len(slow.requests) == 2, 5, "two are on the one that will be ejected")
        slow.delay, slow.status = 0, 503
        wait_until(lambda: made.hostname() and _ejected(made.info("/clusters")) == 1, 10, "it is out")
        slow.status = 200
        assert "503" not in [each.result() for each in under_way]
        assert _ejected(made.info("/clusters")) == 1, "their 200s change nothing"


def _ejected(clusters: list[dict[str, list[dict[str, bool]]]]) -> int:
    return sum(endpoint["ejected"] for each in clusters for endpoint in each["endpoints"])
