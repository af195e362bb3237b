"""What must hold once nothing has been wrong for a while; each invariant's name stands in invariants.py."""

from typing import TYPE_CHECKING, NoReturn

from state.constants import MAX_EJECTION_MS, PROBE_AWAITED_MS
from state.keys import Keys, text_of
from state.outlier.store import BY_RULE
from tests.fleet.simulator.invariants import Hand, word
from tests.fleet.simulator.plan import QUIET_S
from tests.fleet.simulator.replica import NAME, Replica
from tests.fleet.simulator.world import Broken

if TYPE_CHECKING:
    from tests.fleet.simulator.run import Simulation

KEYS = Keys("waypoint", NAME)
# The last moments of an ejection are not at the same time for all.
TAIL_MS = 500
# What has no end in Redis.
ENDLESS = (KEYS.version, KEYS.epoch, KEYS.log, KEYS.ejected)


class Settled:
    """Looks at one simulation. Raises Broken."""

    def __init__(self, simulation: "Simulation") -> None:
        self._sim = simulation
        self._watch = simulation.watch

    def _broken(self, name: str, text: str) -> NoReturn:
        raise Broken(name, text)

    def check_end(self) -> None:
        """Nothing has been wrong for a while."""
        for replica in self._sim.living():
            self._check_mind(replica)
        for address, hand in self._watch.hands.items():
            self._check_hand(address, hand)
        self._check_subjects()

    def _check_mind(self, replica: Replica) -> None:
        if replica.form is None:
            return
        if not (replica.board.shared_state and replica.board.reconciled):
            self._broken("one_mind", f"{replica.name} decides by itself")
        states = replica.states()
        for address, workload in replica.manifests.endpoints.items():
            state, text = states[address], self._watch.out_in_redis(address)
            there = text is not None and self._whose(address, text) in ("", workload)
            here = state.ejected_until_ms > replica.now_ms
            if (here and state.private) or self._watch.news_under_way(address):
                continue
            left_ms = max(state.ejected_until_ms - replica.now_ms, self._sim.server.do_pttl(KEYS.eject(address)))
            if 0 <= left_ms < TAIL_MS:
                continue  # each counts the time on its own clock
            if here != there and not (self._watch.clock_was_set and self._ends(address)):
                self._broken(
                    "one_mind", f"{address} is {_told(here)} for {replica.name}, {_told(there)} in Redis: {text}"
                )

    def _whose(self, address: str, text: str) -> str:
        """The workload that is out; the record knows it better than the key, which is written once."""
        record = self._sim.server.do_hgetall(KEYS.endpoint(address))
        names = dict(zip(record[::2], record[1::2], strict=True))
        return text_of(names.get("workload", word(text, "workload")))

    def _ends(self, address: str) -> bool:
        """An ejection with an end, and so one that a clock that was set has moved."""
        hand = self._watch.hands.get(address)
        return hand is None or not hand.out or hand.ends_ns > 0

    def _check_hand(self, address: str, hand: Hand) -> None:
        if hand.ends_ns:
            return
        if not self._watch.is_so(address, hand):
            expected = f"out by {hand.by}, {hand.reason}" if hand.out else "put back by a hand"
            self._broken("hand", f"{address} was {expected}; Redis has {self._watch.out_in_redis(address)}")
        for replica in self._sim.living():
            if hand.out and address in replica.manifests.endpoints and replica.form:
                state = replica.states()[address]
                if (state.reason, state.by) != (hand.reason, hand.by):
                    self._broken("hand", f"{replica.name} has {address} out for {state.reason!r} by {state.by!r}")

    def _check_subjects(self) -> None:
        server = self._sim.server
        for key in list(server.values):
            if server.exists(key) and key not in server.expires and key not in ENDLESS and ":eject:" not in key:
                self._broken("subject", f"{key} has no end")
        served = {address for replica in self._sim.living() for address in replica.manifests.endpoints}
        for worker in (worker for replica in self._sim.living() for worker in replica.workers):
            slots = {slot for slot, _ in worker.endpoints}
            kept = {slot for slot, _ in worker.fleet.desk.outbox._entries} | set(worker.fleet._holds._holds)
            if kept - slots:
                self._broken("subject", f"{worker.name} keeps slots of endpoints that are gone")
        for key in list(server.values):
            _, eject, address = key.partition(":eject:")
            gone = eject and address not in served and server.exists(key)
            if gone and server.do_pttl(key) > _longest_ms(server.values[key]):
                self._broken("subject", f"{key} stays for ever")

    def check_cost(self, calls: dict[str, int]) -> None:
        """What was asked of the store in the quiet time at the end."""
        replicas = len(self._sim.living())
        rule = self._sim.manifests.rule
        if rule is None:
            return
        out = sum(self._watch.out_in_redis(address) is not None for address in self._sim.manifests.endpoints)
        every_s = min(rule.interval_ms / 1000, 1.0) if out else rule.interval_ms / 1000
        looks = replicas * (QUIET_S / every_s + 2)
        ends = replicas * len(self._sim.manifests.endpoints) * 2
        limits: dict[str, float] = {"look": looks, "time_left": looks, "sync": replicas + ends, "report": 2 * ends}
        for name, limit in limits.items():
            if calls.get(name, 0) > limit and not rule.probe:
                self._broken("cost", f"{calls[name]} calls of {name} in {QUIET_S:g} s, with nothing to do")


def _longest_ms(text: str) -> float:
    """How long such an ejection lasts at most, if nobody who knows of it ends it."""
    if word(text, "reason") not in BY_RULE:
        return float("inf")
    return MAX_EJECTION_MS + (PROBE_AWAITED_MS if word(text, "recovery") == "probe" else 0)


def _told(out: bool) -> str:
    return "out" if out else "in"
