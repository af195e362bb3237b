"""Who tells of an endpoint's outcomes: every worker of the fleet, or a few. Pure; with decide.py the executable
specification of what the scripts do (`lua/cluster.lua`, `lua/report.lua`).

While everybody tells, the fleet is told of each run of failures that begins or ends, since successes matter in between:
with many replicas and an endpoint that flaps that is a cost of the square of the replicas. So where it gets too much,
some workers taken by chance are its witnesses for ten seconds: they tell of all its outcomes, and nobody else of any.
The fleet is not told of a run before it is as long as the threshold; then it is asked, once, who has seen a success
since the run began. Only if nobody says so the endpoint is ejected.
"""

from typing import NamedTuple

from state.constants import (
    ASK_PAUSE_MS,
    DELIVERIES,
    EARLY_MS,
    LONG_ASK_PAUSE_MS,
    LONGEST_ASK_PAUSE_MS,
    WITNESSES,
    WITNESSES_MS,
)


class Hearing(NamedTuple):
    """How an endpoint is heard of."""

    load: int = 0  # deliveries that news of its runs have asked for, less what may be delivered since
    load_ms: int = 0  # as of then
    until_ms: int = 0  # only witnesses tell, until then; 0: everybody does
    replicas: int = 0  # of how many replicas they are, in all
    ask_at_ms: int = 0  # nobody is asked before
    pause_ms: int = 0  # between the last two questions

    @property
    def by_witnesses(self) -> bool:
        """Only they tell."""
        return self.until_ms > 0


BY_EVERYBODY = Hearing()


def most(replicas: int) -> int:
    """The load from which on witnesses tell: half a second's, and no less than eight pieces of news: an endpoint that
    dies makes one."""
    return max(DELIVERIES // 2, 8 * replicas)


def lightened(hearing: Hearing, now_ms: int) -> Hearing:
    """As time passes. What witnesses tell stands for more, and has to get much less before everybody tells again."""
    passed_ms = max(0, now_ms - hearing.load_ms)
    per_second = DELIVERIES // 4 if hearing.by_witnesses else DELIVERIES
    return hearing._replace(load=max(0, hearing.load - passed_ms * per_second // 1000), load_ms=now_ms)


def turned(hearing: Hearing, replicas: int, now_ms: int) -> Hearing:
    """A run of failures has begun or ended, of which all replicas would be told; perhaps witnesses tell from now on."""
    hearing = lightened(hearing, now_ms)
    if hearing.by_witnesses:
        more = hearing.replicas * max(WITNESSES, hearing.replicas) // WITNESSES
        return hearing._replace(load=min(hearing.load + more, most(hearing.replicas)))
    load = hearing.load + replicas
    if load < most(replicas) or replicas < 2:
        return hearing._replace(load=min(load, most(replicas)))
    return called(hearing._replace(load=most(replicas)), replicas, now_ms)


def called(hearing: Hearing, replicas: int, now_ms: int) -> Hearing:
    """Witnesses tell from now on, or others than before do."""
    return hearing._replace(until_ms=now_ms + WITNESSES_MS, replicas=replicas)


def renewed(hearing: Hearing, replicas: int, now_ms: int) -> Hearing:
    """When their time is nearly over: there are others while it is still too much for everybody, else none."""
    hearing = hearing._replace(until_ms=min(hearing.until_ms, now_ms + WITNESSES_MS))  # a clock may be put back
    if not hearing.by_witnesses or now_ms < hearing.until_ms - EARLY_MS:
        return hearing
    if lightened(hearing, now_ms).load and replicas > 1:
        return called(hearing, replicas, now_ms)
    return hearing._replace(until_ms=0, replicas=0) if now_ms >= hearing.until_ms else hearing


def answered(hearing: Hearing, now_ms: int) -> Hearing:
    """Somebody had seen a success: what an endpoint that flaps may ask is bounded."""
    again = now_ms < hearing.ask_at_ms + WITNESSES_MS and hearing.pause_ms
    pause_ms = min(2 * hearing.pause_ms, longest_pause_ms(hearing.replicas)) if again else ASK_PAUSE_MS
    return hearing._replace(pause_ms=pause_ms, ask_at_ms=now_ms + pause_ms)


def longest_pause_ms(replicas: int) -> int:
    """Each question, and that it is answered, is told to every replica: what that costs is bounded too."""
    return max(LONG_ASK_PAUSE_MS, min(3 * replicas // 4, LONGEST_ASK_PAUSE_MS))


def wait_to_ask_ms(hearing: Hearing, now_ms: int) -> int:
    """How long nobody is to be asked still; never long, wherever the clock is."""
    wait_ms = hearing.ask_at_ms - now_ms
    return wait_ms if 0 < wait_ms <= LONGEST_ASK_PAUSE_MS else 0
