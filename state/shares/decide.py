"""Which share of a cluster's limits a replica gets: the executable specification of `lua/share_limits.lua`. Pure.

Shares never come to more than the limit: one is larger only once it is written down, and counts as it was until its
replica says that it has less. Half of what nobody needs is shared out evenly, so that whoever comes finds something.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

PRESENT_MS = 1000
"""So often a replica that needs nothing says that it is there."""
ALIVE_MS = 10_000
"""Who has said nothing for so long has no share any more."""
SILENCE_MS = 3 * PRESENT_MS
"""When nobody has said anything for so long, it was Redis that was away, and nobody is gone for that."""
SETTLE_MS = 2 * PRESENT_MS
"""So long after shares were lost nobody gets more than a slice: others have some that are not known yet."""
SLICES = 16
"""A slice is such a part of the limit."""
TEN_THOUSAND = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """What a replica has of a limit (its share, or what is in use, if that is more), and how much it needs: what was in
    use at most since it asked last, and what was refused."""

    held: int
    needs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A replica's question about one cluster.

    `turn`: what the answer before this said, 0: there was none. `active`: its requests that run or wait. `limits` and
    `claims`: by the limit's name. `budget`: where retries have one, so many ten-thousandths of all requests of the
    fleet may be tried again, and `limits["retries"]` at least. Of those, each replica takes the part that its own
    requests allow without asking; claims and shares are of the rest.
    """

    replica: str
    turn: int
    active: int
    limits: Mapping[str, int]
    claims: Mapping[str, Claim]
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """The number of the next turn, how many replicas there are, and shares by name; None: ask again, with that turn."""

    turn: int
    replicas: int
    shares: Mapping[str, int] | None


@dataclass(slots=True)
class Record:
    """What is known of a replica."""

    at_ms: int
    turn: int
    active: int
    claims: dict[str, Claim]


@dataclass(slots=True)
class State:
    """What is known of a cluster's limits."""

    records: dict[str, Record] = field(default_factory=dict)
    asked_ms: int = 0  # when somebody asked last
    back_ms: int = 0  # when somebody asked again after Redis had been away
    settled_ms: int = 0  # until then shares are missing


def share_out(state: State, now_ms: int, asked: Asked) -> Shares:
    """The answer, and what is known from then on."""
    lost = not state.records and any(claim.held for claim in asked.claims.values())
    if state.asked_ms and now_ms - state.asked_ms > SILENCE_MS:
        state.back_ms = now_ms
    state.asked_ms = now_ms
    if lost:
        state.settled_ms = now_ms + SETTLE_MS
    before = state.records.pop(asked.replica, None)
    gone = [n for n, each in state.records.items() if now_ms - max(each.at_ms, state.back_ms) > ALIVE_MS]
    for name in gone:
        del state.records[name]
    turn = (before.turn if before else asked.turn) + 1
    mine = state.records[asked.replica] = Record(now_ms, turn, asked.active, dict(asked.claims))
    if before and before.turn != asked.turn:  # it does not know of its last share, or a call of before came late
        for kind, claim in before.claims.items():
            if kind in mine.claims:
                mine.claims[kind] = Claim(max(claim.held, mine.claims[kind].held), mine.claims[kind].needs)
        return Shares(turn, len(state.records), None)
    shares = {kind: _share(state, now_ms, asked, kind) for kind in asked.claims}
    for kind, share in shares.items():
        claim = mine.claims[kind]
        mine.claims[kind] = Claim(max(claim.held, share), claim.needs)
    return Shares(turn, len(state.records), shares)


def _share(state: State, now_ms: int, asked: Asked, kind: str) -> int:
    """Less than what is held: so much is to be given back."""
    claims = {name: each.claims.get(kind, Claim(0, 0)) for name, each in state.records.items()}
    limit = _limit(state, asked, kind)
    held = claims[asked.replica].held
    room = limit - sum(each.held for each in claims.values())
    if now_ms < state.settled_ms:
        room = min(room, slice_of(limit) - held)
    wanted = target(limit, {name: each.needs for name, each in claims.items()}, asked.replica)
    return wanted if wanted <= held else held + max(0, min(wanted - held, room))


def slice_of(limit: int) -> int:
    """The largest part that may be taken without knowing what others have; 0 of 0."""
    return min(limit, max(1, limit // SLICES))


def _limit(state: State, asked: Asked, kind: str) -> int:
    if asked.budget is None or kind != "retries":
        return asked.limits[kind]
    active = [each.active for each in state.records.values()]
    own = sum(asked.budget * each // TEN_THOUSAND for each in active)
    return max(asked.budget * sum(active) // TEN_THOUSAND, asked.limits[kind]) - own


def target(limit: int, needs: Mapping[str, int], name: str) -> int:
    """What a replica's share should be: what it needs and its part of half the rest; where there is not enough for all,
    nobody gets more while another who needs it has less."""
    needs = {each: min(need, limit) for each, need in needs.items()}
    spare = limit - sum(needs.values())
    if spare >= 0:
        idle = sorted(each for each, need in needs.items() if not need)
        return needs[name] + (spare // (2 * len(needs)) or int(name in idle[:spare]))
    level, over = _level(limit, sorted(needs.values()))
    above = sorted(each for each, need in needs.items() if need > level)
    return level + (name in above[:over]) if needs[name] > level else needs[name]


def _level(limit: int, needs: list[int]) -> tuple[int, int]:
    """So much for each who needs more than that, and how many of them get one more."""
    for index, need in enumerate(needs):
        level, over = divmod(limit, len(needs) - index)
        if need > level:
            break
        limit -= need
    return level, over
