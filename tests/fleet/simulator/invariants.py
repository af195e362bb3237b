"""What must hold, whatever goes wrong. Each has a name, which is what a seed is said to break.

order     ejected only by a run of n, in an order that could have been
late      never later than n outcomes after it, while the store is there and the cap has room
spread    what is out for the fleet gets no requests from any replica
cap       never more out by the rule than the cap allows, of the endpoints there are
one_mind  soon after the last fault every replica has out what Redis has out, and nothing else
hand      what a hand did stays: out or in, with its reason and its name
subject   nothing outlives what it is about
cost      a quiet fleet asks the store seldom
lines     a log tells of each ejection and of each return once
mistake   no greenlet ends by an exception that nobody expected
"""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.fleet.leader import LONGEST_WAIT_MS
from state.keys import Keys
from state.outlier.store import BY_RULE, CONSECUTIVE_5XX, CONSECUTIVE_GATEWAY_FAILURE, COUNTED_REASONS
from tests.fleet.simulator.order import certain_runs, could_be_a_run
from tests.fleet.simulator.plan import AWAY_MS
from tests.fleet.simulator.replica import NAME, Heard, Replica
from tests.fleet.simulator.traffic import Attempt
from tests.fleet.simulator.world import MS, Broken

if TYPE_CHECKING:
    from tests.fleet.simulator.run import Simulation

KEYS = Keys("waypoint", NAME)
IN_A_ROW = (CONSECUTIVE_5XX, CONSECUTIVE_GATEWAY_FAILURE)
# After a cap that was full it takes the fleet so long to report again.
CAP_CALM_MS = 1500
# A replica hears of other manifests; then all are to be told, and views.
LOAD_CALM_MS = 500
# From the failure that completes a run until no replica sends a request any more, beside round trips of the network.
OUT_WITHIN_MS = 150
ROUND_TRIPS = 6


@dataclass
class Hand:
    """What a hand did last with an address. `knew`: the replicas that had seen what it undoes."""

    out: bool
    reason: str = ""
    by: str = ""
    ends_ns: int = 0
    knew: list[Replica] = field(default_factory=list)
    at_risk: bool = False  # Redis does not have it any more; replicas do


class Invariants:
    """Watches one simulation. Raises Broken."""

    def __init__(self, simulation: "Simulation") -> None:
        self._sim = simulation
        self._world = simulation.world
        self.clock_was_set = False
        self.endpoints_changed = False
        self.hands: dict[str, Hand] = {}
        self._disturbed_ns: list[tuple[int, int]] = []  # since when, until when
        self._full_ns = -(10**18)
        self._ejected_ns: dict[str, int] = {}
        self._changed_ns: dict[str, int] = {}  # put out or back
        self._open: dict[tuple[str, str, str], bool] = {}
        self._since_ns: dict[str, int] = {}
        self._witnessed: set[str] = set()  # endpoints of which not everybody tells, or did not lately

    def _broken(self, name: str, text: str) -> None:
        raise Broken(name, text)

    # -- when nothing is wrong ----------------------------------------------------------------------------------------

    def disturbed(self, calm_ms: int) -> None:
        """Something goes wrong now, or is mended; so long nothing is expected to happen in time."""
        self._disturbed_ns.append((self._world.now_ns, self._world.now_ns + calm_ms * MS))

    def wrong(self, from_ns: int) -> None:
        """All the time since then something was."""
        self._disturbed_ns.append((from_ns, self._world.now_ns))

    def half_open_ended(self, since_ns: int) -> None:
        """A replica has found, by using it, that nothing passes on a connection any more."""
        self.wrong(since_ns)
        self.disturbed(AWAY_MS)

    def _calm(self, from_ns: int, until_ns: int) -> bool:
        """Nothing was wrong in that time."""
        wrong = self._sim.faults.grave or self._sim.network.half_open()
        return not wrong and not any(
            begun_ns <= until_ns and over_ns >= from_ns for begun_ns, over_ns in self._disturbed_ns
        )

    @property
    def _round_trip_ns(self) -> int:
        return int(2.2 * self._sim.plan.one_way_ms * MS)

    # -- the store ----------------------------------------------------------------------------------------------------

    def out_in_redis(self, address: str) -> str | None:
        """The text of its eject key."""
        server = self._sim.server
        key = KEYS.eject(address)
        return str(server.values[key]) if server.exists(key) else None

    def _active(self) -> list[str]:
        if not self._sim.server.values.get(KEYS.ejected) and not self._sim.index_may_lack:
            return []
        served = {address for replica in self._sim.living() for address in replica.manifests.endpoints}
        return [address for address in served if self.out_in_redis(address) is not None]

    def published(self, message: str) -> None:
        """The fleet is told."""
        kind, endpoint, *_ = message.split()
        if kind == "witnesses":
            self._witnessed.add(endpoint.partition("=")[2])

    def noted(self, entry: dict[str, str]) -> None:
        """An entry of the stream, written by a script that has done what it tells of."""
        address, kind, why = entry["endpoint"], entry["kind"], entry["why"]
        if self._world.talks:
            self._world.tell(f"redis: {kind} {why} {address} {entry.get('reason', '')} by {entry['by']}")
        if kind == "uneject" or why == "unejected":
            self._ejected_ns.pop(address, None)
        if kind in ("eject", "uneject", "by_hand") and why != "offered":
            self.replicas_forget()  # something new may hide that data were lost (docs/fleet-state.md: not undone)
        if kind == "eject":
            self._ejected_ns[address] = self._world.now_ns
        if kind in ("eject", "uneject", "by_hand"):
            self._changed_ns[address] = self._world.now_ns
        if kind == "eject" and why in IN_A_ROW:
            self._check_order(address, int(entry["generation"]))
        if kind == "eject" and why in COUNTED_REASONS:
            self._check_cap(address)

    def _check_order(self, address: str, generation: int) -> None:
        rule = self._sim.manifests.rule
        if rule is None or self._sim.rule_changed:
            return
        since_ns = self._since_ns.get(address, 0)
        self._since_ns[address] = self._world.now_ns
        recent = [a for a in self._sim.traffic.attempts if a.address == address and a.ended_ns >= since_ns]
        failures = [a for a in recent if not a.success]
        if len(failures) < rule.consecutive_5xx:
            self._broken("order", f"{address} is ejected after {len(failures)} failures")
        told_ns = self._world.now_ns - self._news_ns
        if address in self._witnessed:
            told_ns -= LONGEST_WAIT_MS * MS
        if not self._calm(told_ns, self._world.now_ns):
            return
        counted = [a for a in recent if a.generation == generation - 1]
        if self._world.now_ns - self._full_ns < CAP_CALM_MS * MS:
            told_ns = 0  # reports have waited, and are judged when there is room
        if not could_be_a_run(counted, rule.consecutive_5xx, told_ns):
            self._broken("order", f"{address} is ejected without a run of {rule.consecutive_5xx}")

    def _check_cap(self, address: str) -> None:
        rule = self._sim.manifests.rule
        if rule is None or not self._sim.agreed():
            return
        indexed = self._sim.server.values.get(KEYS.ejected, {})  # a key that a hand has just set is not known yet
        out = {each for each in self._active() if each != address and each in indexed}
        clusters = [set(self._sim.manifests.endpoints), *self._lately_served()]
        if not any(has_room(rule.max_ejection_percent, out & cluster, cluster) for cluster in clusters):
            self._broken("cap", f"{address} is ejected, {len(out & clusters[0])} of {len(clusters[0])} being out")

    def _lately_served(self) -> list[set[str]]:
        """What workers serve, and what they served when they sent a report that Redis may have got only now: one that
        has not heard yet of endpoints that have left goes by the cap that there was with them."""
        since_ns = self._world.now_ns - self._news_ns
        if not self._calm(since_ns, self._world.now_ns):
            since_ns = 0  # a connection may hold a report for as long as the fault lasts
        workers = [worker for replica in self._sim.replicas for worker in replica.workers]
        lately = [{address for _, address in worker.endpoints} for worker in workers]
        return lately + [set(each) for worker in workers for each, left_ns in worker.served if left_ns >= since_ns]

    @property
    def _news_ns(self) -> int:
        """So long a report is on its way, or the news of what came of it."""
        return OUT_WITHIN_MS * MS + ROUND_TRIPS * self._round_trip_ns

    def news_under_way(self, address: str) -> bool:
        """Redis has just had it put out, or back."""
        return self._world.now_ns - self._changed_ns.get(address, 0) < self._news_ns

    # -- requests -----------------------------------------------------------------------------------------------------

    def ended(self, attempt: Attempt) -> None:
        """An attempt has ended."""
        rule = self._sim.manifests.rule
        if rule is None or attempt.success:
            return
        out = set(self._active())
        if self.clock_was_set:  # a replica keeps the ends it knows, and with them its cap
            for replica in self._sim.living():
                out.update(address for address, state in replica.out().items() if state.shared)
        ours = [each.manifests for each in self._sim.living()]
        fewest = min(len(each.endpoints) for each in (self._sim.manifests, *ours))
        if 100 * (len(out) + 1) > rule.max_ejection_percent * fewest:
            self._full_ns = self._world.now_ns
        attempt.room = self._world.now_ns - self._full_ns > CAP_CALM_MS * MS
        out_ns = self._ejected_ns.get(attempt.address)
        if out_ns is None or not attempt.counts or self.out_in_redis(attempt.address) is None:
            return
        attempt.counts = False
        grace_ns = self._news_ns
        ends_ms = self._sim.server.do_pttl(KEYS.eject(attempt.address))
        if 0 <= ends_ms * MS < grace_ns:
            return  # each counts the time on its own clock
        if attempt.begun_ns > out_ns + grace_ns and self._calm(out_ns, self._world.now_ns):
            self._broken("spread", f"{attempt.replica} sends a request to {attempt.address}, which is out")

    def check_late(self) -> None:
        """Looks back on all requests."""
        rule = self._sim.manifests.rule
        if rule is None or self._sim.rule_changed:
            return
        grace_ns = self._news_ns
        by_run: dict[tuple[str, int], list[Attempt]] = {}
        for attempt in self._sim.traffic.attempts:
            if attempt.counts:
                by_run.setdefault((attempt.address, attempt.generation), []).append(attempt)
        for (address, _), attempts in by_run.items():
            if address in self._witnessed:
                continue  # a run is found when it is one among what witnesses have met
            for completed, more in certain_runs(attempts, rule.consecutive_5xx):
                late = [a for a in more if a.begun_ns > completed.ended_ns + grace_ns and a.room]
                if late and completed.room and self._calm(completed.begun_ns, late[0].ended_ns):
                    at_s = (completed.ended_ns - self._world.begun_ns) / 1e9
                    self._broken(
                        "late", f"{address} has failed often enough at {at_s:.3f}, and {len(late)} times since"
                    )

    # -- hands --------------------------------------------------------------------------------------------------------

    def replicas_with(self, address: str) -> list[Replica]:
        """Those that have it out for the fleet."""
        return [r for r in self._sim.living() if (s := r.out().get(address)) is not None and s.shared]

    def hand_ejected(self, address: str, reason: str, by: str, for_ms: int) -> None:
        """A hand was told that it is out."""
        self.hands[address] = Hand(True, reason, by, self._world.now_ns + for_ms * MS if for_ms else 0)
        if not self.is_so(address, self.hands[address]):
            self.hand_is_unsure(address)  # it spoke to a primary that is none any more

    def hand_unejected(self, address: str, knew: list[Replica]) -> None:
        """A hand was told that it is back."""
        self.hands[address] = Hand(False, knew=knew)
        if not self.is_so(address, self.hands[address]):
            self.hand_is_unsure(address)

    def hand_is_unsure(self, address: str) -> None:
        """Nobody knows what came of that."""
        self.hands.pop(address, None)

    def is_so(self, address: str, hand: Hand) -> bool:
        text = self.out_in_redis(address)
        if not hand.out:
            return text is None or word(text, "reason") in BY_RULE
        return text is not None and (word(text, "reason"), word(text, "by")) == (hand.reason, hand.by)

    def _knows(self, replica: Replica, address: str, hand: Hand) -> bool:
        state = replica.states().get(address)
        if state is None:
            return False
        if hand.out:
            return bool(state.ejected_until_ms) and state.reason == hand.reason
        return replica in hand.knew and not state.ejected_until_ms

    def data_lost(self) -> None:
        """Redis has other data than it had; of an older time, with failures that an ejection had used up."""
        self._since_ns.clear()
        for address, hand in list(self.hands.items()):
            hand.at_risk = not self.is_so(address, hand)
            if not hand.out and self.replicas_with(address):  # who has not seen it return offers it again
                self.hand_is_unsure(address)
        self.look_who_knows()

    def look_who_knows(self) -> None:
        """What Redis has lost and no replica knows either is lost."""
        for address, hand in list(self.hands.items()):
            lost = hand.at_risk and not self.is_so(address, hand)
            if lost and not any(self._knows(replica, address, hand) for replica in self._sim.living()):
                self.hand_is_unsure(address)

    def pod_goes(self, address: str) -> None:
        """Before anybody has noticed that Redis has lost what a hand did there: replicas know it of that pod only."""
        hand = self.hands.get(address)
        if hand is not None and hand.at_risk and not self.is_so(address, hand):
            self.hand_is_unsure(address)

    def replicas_forget(self) -> None:
        """What Redis has lost is not offered to it again: who knew of it has gone, or its rule has."""
        for address in list(self.hands):
            self.pod_goes(address)

    # -- the log ------------------------------------------------------------------------------------------------------

    def heard(self, replica: Replica, line: Heard) -> None:
        """A line of a replica's log."""
        text = line.notice.text
        if self._world.talks:
            self._world.tell(f"{replica.name}: {text} {line.fields}")
        if not text.startswith(("ejecting", "unejecting")):
            return
        out = text.startswith("ejecting")
        key = (replica.name, str(line.fields["endpoint"]), str(line.fields["workload"]))
        again = out and "a failed probe" in text
        if self._open.get(key, False) == out and not again:
            self._broken("lines", f"{replica.name} tells of {key[1]} twice: {text}")
        self._open[key] = out


def word(text: str, name: str) -> str:
    """The one in "... name=word ...", "" without it."""
    for word in text.split():
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def has_room(percent: int, out: Set[str], cluster: Set[str]) -> bool:
    """The cap lets one more be out."""
    return 100 * (len(out) + 1) <= percent * len(cluster)
