"""When this replica asks for its share of a cluster's limits, and what it says of itself. Pure; times in ms.

It asks every second, and five times a second at most where it has nearly used its share up, or has some to give back.
What it gives back nobody here takes any more when it says so: it has gone by the smaller share for a turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.fleet.lease import TURN_MS
from proxy.ipc.snapshot import PoolForm
from proxy.scoreboard.clusters import LIMITS
from proxy.scoreboard.views import InUse
from state.shares.decide import PRESENT_MS, TEN_THOUSAND, Asked, Claim, Shares

CONNECTIONS, PENDING, REQUESTS, RETRIES = range(len(LIMITS))
Counts = tuple[int, ...]
NONE: Counts = (0,) * len(LIMITS)


@dataclass(frozen=True, slots=True)
class Shared:
    """The limits of a cluster that the fleet keeps together, by name. `budget` (state.shares.decide.Asked) is a part of
    the requests of `interval_ms`, 0: of those that run or wait."""

    slot: int
    limits: Mapping[str, int]
    budget: int | None
    interval_ms: int = 0


def shared_of(slot: int, pool: PoolForm) -> Shared | None:
    """None: there are none."""
    if not pool.get("fleet"):
        return None
    found = dict(
        connections=pool.get("connections"),
        pending=pool.get("pending"),
        requests=pool.get("requests"),
        retries=pool.get("budget_min", pool.get("retries")),
    )
    limits = {name: limit for name, limit in found.items() if limit is not None}
    budget = round(100 * pool["budget_percent"]) if "budget_percent" in pool else None
    return Shared(slot, limits, budget, pool.get("budget_interval_ms", 0))


def used(in_use: InUse, budget: int | None) -> Counts:
    """Of what a share is needed for: connections that wait for a request can be done without, and retries that the
    requests here allow by themselves need none."""
    held = list(in_use.held)
    held[CONNECTIONS] = max(0, held[CONNECTIONS] - in_use.idle)
    held[RETRIES] = max(0, held[RETRIES] - _own_retries(in_use, budget))
    return tuple(held)


def _own_retries(in_use: InUse, budget: int | None) -> int:
    return _active(in_use) * (budget or 0) // TEN_THOUSAND


def _active(in_use: InUse) -> int:
    if in_use.recent is not None:
        return in_use.recent
    return in_use.held[REQUESTS] + in_use.held[PENDING]


@dataclass(slots=True)
class Asking:
    """Where this replica is with one cluster."""

    asked_ms: int = -PRESENT_MS
    turn: int = 0
    peak: Counts = NONE  # used at most since it asked last, ...
    refused: Counts = NONE  # ... how often there had been no room until then, ...
    told: Counts = NONE  # ... and what it is known to have

    def note(self, in_use: InUse, budget: int | None) -> None:
        """What there is now."""
        self.peak = tuple(map(max, self.peak, used(in_use, budget)))

    def due(self, shared: Shared, shares: Counts, in_use: InUse, now_ms: int) -> bool:
        """Whether it is time to ask."""
        for kind, name in enumerate(LIMITS):
            if name in shared.limits and now_ms - self.asked_ms >= TURN_MS:
                nearly_used = 4 * self._needs(in_use, kind) > 3 * shares[kind]
                if nearly_used or shares[kind] < self.told[kind]:
                    return True
        return now_ms - self.asked_ms >= PRESENT_MS

    def _needs(self, in_use: InUse, kind: int) -> int:
        return self.peak[kind] + max(0, in_use.refused[kind] - self.refused[kind])

    def question(self, replica: str, shared: Shared, shares: Counts, in_use: InUse) -> Asked:
        """What to ask."""
        own = _own_retries(in_use, shared.budget)
        held = [*in_use.held[:RETRIES], max(0, in_use.held[RETRIES] - own)]
        claims = {
            name: Claim(max(held[kind], shares[kind]), self._needs(in_use, kind))
            for kind, name in enumerate(LIMITS)
            if name in shared.limits
        }
        return Asked(
            replica=replica,
            turn=self.turn,
            active=_active(in_use),
            limits=shared.limits,
            claims=claims,
            budget=shared.budget,
        )

    def answered(self, asked: Asked, answer: Shares, in_use: InUse, now_ms: int) -> None:
        """Its answer is in force."""
        self.turn, self.asked_ms = answer.turn, now_ms
        if answer.shares is not None:
            self.told = tuple(
                max(answer.shares.get(name, 0), asked.claims[name].held if name in asked.claims else 0)
                for name in LIMITS
            )
            self.peak, self.refused = used(in_use, asked.budget), in_use.refused
