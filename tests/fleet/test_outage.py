"""The way to Redis fails, in each way that it can: no request notices, and afterwards the fleet is of one mind."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import Fleet, Load, fleet, key
from tests.fleet.redis_relay import Relay, relays
from tests.patience import slowness
from tests.rig import wait_until

LIMIT_MS = 50.0  # more than the test's own clients wait for the processor on a busy machine

FAULTS: dict[str, Callable[[Relay], None]] = {
    "drop": Relay.drop,
    "hold": lambda relay: setattr(relay, "holding", True),
    "delay": lambda relay: setattr(relay, "delay", 0.1),
    "reset": Relay.cut,
    "server-closes": lambda relay: relay.end("client"),
    "client-closes": lambda relay: relay.end("server"),
    "LOADING": lambda relay: setattr(relay, "answer", b"-LOADING Redis is loading the dataset in memory\r\n"),
    "MOVED": lambda relay: setattr(relay, "answer", b"-MOVED 3999 127.0.0.1:6381\r\n"),
    "NOPERM": lambda relay: setattr(relay, "answer", b"-NOPERM this user has no permissions\r\n"),
}
QUICK = ("drop",)


def only_good(load: Load, failures: int) -> None:
    assert not load.broken
    assert set(load.statuses) <= {200, 503}
    assert load.statuses[503] <= failures


def resident(made: Fleet) -> int:
    """KiB of all workers."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in made.replicas[0].worker_pids()]
    return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in texts)


def away_lines(made: Fleet) -> int:
    return made.replicas[0].waypoint.errors().count("Redis does not answer")


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAULTS]
)
def test_a_way_that_fails(valkey: Embedded, tmp_path: Path, fault: str) -> None:
    away(valkey, tmp_path, fault, 3)


@pytest.mark.slow
def test_a_minute_without_answers(valkey: Embedded, tmp_path: Path) -> None:
    away(valkey, tmp_path, "drop", 60)


def away(valkey: Embedded, tmp_path: Path, fault: str, seconds: float) -> None:
    with relays(valkey.port, 1) as (way,), fleet(tmp_path, valkey.url, through=[way.url], replicas=1) as made:
        victim = made.members[0]
        with Load(made.replicas[0].port, 500) as load:
            time.sleep(2)
            wait_until(lambda: made.mode(0) == "shared", 3, "it begins with the fleet")
            began, memory, told = time.monotonic(), resident(made), away_lines(made)
            FAULTS[fault](way)
            victim.status = 503
            wait_until(lambda: made.agrees(victim), 1, "ejected all the same")
            wait_until(lambda: made.mode(0) == "local", 3, "it decides by itself")
            seen = load.statuses[503]
            until, known = made.until_ms(0, victim), made.replicas[0].info()["shared_state"]
            time.sleep(seconds - 1)
            assert made.mode(0) == "local", "and keeps doing so"
            assert seconds > 30 or abs(made.until_ms(0, victim) - until) < 50
            connections = way.accepted
            end = time.monotonic()
            victim.status = 200 if seconds < 30 else 503
            way.heal()
            wait_until(lambda: made.mode(0) == "shared", 3, "and is the fleet's again")
            wait_until(lambda: made.client.exists(key(victim)), 3, "which knows")
            time.sleep(1)
            back = time.monotonic()
        if seconds < 30:
            only_good(load, 3 + load.connections)
            assert load.statuses[503] == seen
            assert made.told("eject") == [("offered", victim.address)]
            made.wrote("outlier ejecting", 1)
        before, during, after = (load.slowest(*span) for span in ((began - 1.5, began), (began, end), (end, back)))
        print(f"p99, max in ms: before {before}, away {during}, back {after}; {connections} connections; {known}")
        assert max(during[0], after[0]) < before[0] + LIMIT_MS * slowness()
        assert connections < 10 + 8 * seconds, "no storm of connections"
        assert resident(made) - memory < 4096
        assert away_lines(made) == told + 1
        assert "Traceback" not in made.replicas[0].waypoint.errors()
        assert known["reason"].startswith("redis: ")
