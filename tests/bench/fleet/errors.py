"""Errors that clients see: until the bad endpoint is out everywhere, from a new replica, and at each recovery."""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.contestants import MERGING, RULE
from tests.bench.fleet.clients import in_turn, once
from tests.bench.fleet.fleets import SHORT_RULE, Endpoints, Fleet, Waypoints, envoys

REQUESTS = 15
"""To each replica: five for the bad endpoint, if it stayed in."""
WAYS = (("concurrent", 16), ("sequential", 1))
"""Clients at a time."""
ROUNDS = 3
RECOVERY_SECONDS = 5.0
"""From the first errors: the ejection of 2 s (Envoy: up to 3) ends within, the next one of 4 s does not."""
PACE = 0.01


def of_waypointd(made: Endpoints, fleet: Waypoints) -> dict[str, Any]:
    """Everything, on a fleet that runs; leaves it as it was."""
    replicas = len(fleet.addresses)
    found: dict[str, Any] = {}
    for name, concurrency in WAYS:
        found[name] = []
        for _ in range(ROUNDS):
            fleet.lift()
            found[name].append(_until_out(made, fleet, concurrency))
    found |= _new_ones(made, fleet, replicas)
    fleet.stop(replicas)
    for recovery in ("full", "probe"):
        fleet.lift()
        fleet.rule(recovery, **SHORT_RULE)
        found[f"recovery_{recovery}"] = _recovery(made, fleet)
    fleet.lift()
    fleet.rule("full", **RULE)
    return found


def of_envoy(scratch: Path, made: Endpoints, replicas: int) -> dict[str, Any]:
    """The same of Envoys, which only a restart makes forget."""
    found: dict[str, Any] = {}
    for name, concurrency in WAYS:
        found[name] = []
        for _ in range(ROUNDS):
            with _healed(made), envoys(scratch, made, replicas) as fleet:
                found[name].append(_until_out(made, fleet, concurrency))
                newest = _new_ones(made, fleet, replicas)
    for name, merging in (("recovery_full", MERGING), ("recovery_unmerged", {"update_merge_window": "0s"})):
        with _healed(made), envoys(scratch, made, replicas, SHORT_RULE | merging) as fleet:
            found[name] = _recovery(made, fleet)
    return found | newest


@contextlib.contextmanager
def _healed(made: Endpoints) -> Iterator[None]:
    try:
        yield
    finally:
        made.board.fail()


def _until_out(made: Endpoints, fleet: Fleet, concurrency: int = 1) -> int:
    count = REQUESTS * len(fleet.addresses)
    _only_good(in_turn(fleet.addresses, 3 * len(fleet.addresses)))
    made.board.fail(0)
    return _errors(in_turn(fleet.addresses, count * concurrency, concurrency))


def _new_ones(made: Endpoints, fleet: Fleet, replicas: int) -> dict[str, int]:
    """Errors of the first one restarted, and of one more; the bad endpoint is out already."""
    fleet.stop(0)
    fleet.start([0])
    restarted = _errors(in_turn([fleet.address(0)], REQUESTS))
    fleet.start([replicas])
    return {"restarted": restarted, "new": _errors(in_turn([fleet.address(replicas)], REQUESTS))}


def _recovery(made: Endpoints, fleet: Fleet) -> int:
    """Errors of one return of the endpoint that is still broken, under steady traffic."""
    _until_out(made, fleet)
    statuses, until = Counter[int](), time.monotonic() + RECOVERY_SECONDS
    for address in itertools.cycle(fleet.addresses):
        if time.monotonic() > until:
            return _errors(statuses)
        statuses[once(address)] += 1
        time.sleep(PACE)
    raise AssertionError("no replicas")


def _errors(statuses: dict[int, int]) -> int:
    if statuses.keys() - {200, 503}:
        raise RuntimeError(f"neither well nor failed: {dict(statuses)}")
    return statuses.get(503, 0)


def _only_good(statuses: dict[int, int]) -> None:
    if statuses.keys() != {200}:
        raise RuntimeError(f"requests fail before the endpoint does: {dict(statuses)}")
