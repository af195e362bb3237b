"""Random histories by number: one clock, the scripts, run in this process by the interpreter of the fleet's simulator,
and their specification. Both must give the same answers, one by one.

`python -m tests.state.histories FIRST LAST` runs some, and says how often what came of it.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from state.outlier.local_store import LocalStore
from state.outlier.redis_store import RedisStore
from state.outlier.store import MIN_RUN_MS, Policy, Verdict
from tests.fleet.simulator.server import Server
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, DictRecords, Rig

Step = tuple[Any, ...]
ENDPOINTS = (A, B, C)
FLEETS = (2, 8, 100, 300, 1000)


class Clock:
    """For the server, and the specification."""

    def __init__(self) -> None:
        self.begun_ns = self.now_ns = 10**15

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    def advance(self, ms: int) -> None:
        self.now_ns += ms * 1_000_000


class Client:
    """For redis.Redis: what a RedisStore asks of it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def register_script(self, source: str) -> Callable[..., Any]:
        return lambda keys=(), args=(): self._server.script(source, keys, args)

    def mget(self, names: Sequence[str]) -> Any:
        return self._server.command("MGET", *names)


@dataclass
class Pair:
    """What must agree, in a fleet of so many replicas."""

    replicas: int

    def __post_init__(self) -> None:
        self.clock = clock = Clock()
        server = Server(clock)  # type: ignore[arg-type]
        self.published: Counter[str] = Counter()
        server.publish = self._publish
        self.scripts = Rig(RedisStore(Client(server)), clock.advance, None)  # type: ignore[arg-type]
        self.specification = Rig(LocalStore(DictRecords(), lambda: clock.now_ms, self.replicas), clock.advance, None)
        if self.replicas > 1:
            self._tell_of(server)

    def _tell_of(self, server: Server) -> None:
        """All have the same view, with no names in it."""
        server.do_hset(KEYS.view("all"), *(word for endpoint in ENDPOINTS for word in (endpoint, "")))
        text = f"told={server.now_ms()} for=999999999 view=all"
        server.do_hset(KEYS.replicas, *(word for each in range(self.replicas) for word in (f"r{each}", text)))

    def _publish(self, channel: str, message: str) -> int:
        self.published[message.partition(" ")[0]] += 1
        return 0

    def both(self, act: Callable[[Rig], Verdict | None]) -> Verdict | None:
        """What both answer. Raises AssertionError."""
        one, other = plain(act(self.scripts)), plain(act(self.specification))
        assert one == other, f"{one}, and by the specification {other}"
        assert self.scripts.ejected() == self.specification.ejected()
        return one


def plain(answer: Verdict | None) -> Verdict | None:
    """What the specification knows of."""
    return None if answer is None else replace(answer, version=0, by="")


def a_policy(dice: Random, *, aged: bool) -> Policy:
    """`aged`: runs have to be of an age, and are asked about. Then the cap lets all go: that one which began while
    there was no room is dropped is no affair of the rules (cluster.lua, tests/state/test_run_age.py)."""
    split = dice.choice((0, 0, 1, 2, 3))
    return replace(
        SEED,
        consecutive_5xx=dice.randint(0, 4),
        base_ejection_ms=dice.choice((1_000, 5_000)),
        max_ejection_percent=100 if aged else dice.choice((30, 34, 67, 100)),
        min_run_ms=MIN_RUN_MS if aged else 0,
        local_origin_quorum=dice.choice((1, 1, 2, 3)),
        probe=dice.random() < 0.3,
        consecutive_gateway_failure=dice.choice((0, 1, 2, 3)),
        split_local_origin=split > 0,
        consecutive_local_origin_failure=split,
    )


def anything(dice: Random) -> list[Step]:
    """A replica alone, three endpoints, rules that change in between, whatever a store may be told."""
    aged = dice.random() < 0.4
    return [_any_step(dice, aged) for _ in range(dice.randint(1, 30))]


def _any_step(dice: Random, aged: bool) -> Step:
    kind = dice.choice(("report", "report", "report", "report", "wait", "probe", "offer", "forget"))
    endpoint, workload, by = dice.choice(ENDPOINTS), dice.choice(("pod-a",) * 9 + ("pod-b",)), f"r{dice.randint(1, 3)}"
    policy = a_policy(dice, aged=aged)
    if kind == "report":
        outcomes, late = _letters(dice, "FFFLLETS", dice.randint(0, 6)), dice.choice((0,) * 8 + (-1, 1))
        return kind, outcomes, endpoint, workload, policy, late, by
    if kind == "wait":  # no whole seconds: at the millisecond of its end a key is still there, a local ejection over
        return kind, dice.choice((1, 2, 7, 1_007, 6_007, 12_007))
    if kind == "probe":
        return kind, dice.choice("FS"), endpoint, policy, by
    if kind == "offer":
        return kind, endpoint, workload, dice.choice((0, 2_000, 9_000)), dice.randint(0, 3), policy
    return kind, endpoint, workload


def flapping(dice: Random) -> list[Step]:
    """One endpoint of a fleet that flaps, and dies in between, as everybody tells, or witnesses."""
    policy = a_policy(dice, aged=True)
    policy = replace(policy, consecutive_5xx=dice.choice((2, 3, 3, 5)), consecutive_gateway_failure=0, probe=False)
    letters = dice.choice(("FS", "FS", "FFS", "FSS", "FFFS"))
    waits = dice.choice(((1, 1, 2), (1, 7, 12, 60), (12, 300)))
    steps: list[Step] = []
    for _ in range(dice.randint(10, 120)):
        steps.append(("wait", dice.choice((*waits, *waits, *waits, 1_007, 9_600))))
        outcomes = _letters(dice, letters, dice.choice((0, 1, 1, 1, 2, 3)))
        steps.append(("report", outcomes, A, "pod-a", policy, 0, f"r{dice.randint(1, 3)}"))
    return steps


def _letters(dice: Random, letters: str, count: int) -> str:
    return "".join(dice.choice(letters) for _ in range(count))


def take(pair: Pair, step: Step) -> Verdict | None:
    """Raises AssertionError where the two do not agree."""
    kind, *given = step
    if kind == "wait":
        pair.clock.advance(*given)
        return None
    if kind == "forget":
        endpoint, workload = given
        return pair.both(lambda rig: rig.store.forget(CLUSTER, endpoint, workload, "r1"))
    if kind == "report":
        outcomes, endpoint, workload, policy, late, by = given
        return pair.both(
            lambda rig: rig.report(
                outcomes, endpoint, workload, policy, max(0, rig.generations.get(endpoint, 0) + late), by
            )
        )
    return pair.both(lambda rig: getattr(rig, kind)(*given))


def run(seed: int) -> Counter[str]:
    """How often what came of it. Raises AssertionError, with the history."""
    dice = Random(seed)
    alone = dice.random() < 0.5
    pair = Pair(1 if alone else dice.choice(FLEETS))
    steps = anything(dice) if alone else flapping(dice)
    outcomes: Counter[str] = Counter()
    for number, step in enumerate(steps):
        try:
            answer = take(pair, step)
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {steps[: number + 1]}: {error}") from error
        outcomes[answer.outcome if answer else step[0]] += 1
    return outcomes + pair.published


if __name__ == "__main__":
    found: Counter[str] = Counter()
    for each in range(int(sys.argv[1]), int(sys.argv[2])):
        found += run(each)
    print(dict(found))
