"""What becomes of endpoints, seen from outside the data path: out, still out, back; in words for people.

The controller looks at the scoreboard every second. What comes and goes between two looks is not seen. An ejection is
told by whoever decided it, two looks later by the others, should that replica be gone: all of them name it the same
(`occurrence`), so that whoever hears of it twice can tell. Reads rows without their lock: nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from proxy.addresses import join
from proxy.ipc.snapshot import ClusterForm, EndpointForm
from proxy.policy.causes import words_of
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state.durations import written
from state.outlier.rates import FAILURE_PERCENTAGE, SUCCESS_RATE
from state.outlier.store import (
    CONSECUTIVE_GATEWAY_FAILURE,
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
    PROBE_FAILED,
    is_by_hand,
)

OTHERS_LOOKS = 2
"""So many looks later an ejection is told that another replica, or a hand, has decided."""
UNSETTLED_LOOKS = 3
"""So many looks later one that the fleet should have heard of, and has not."""
AGAIN_MS = 1_200_000
"""What stays out is told again so often: whoever is told forgets after an hour."""
EARLY_MS = 1500
"""An ejection that ended sooner before its time than this has not just run out."""


class Sighting(NamedTuple):
    """An endpoint is out, or back. `text` says until when and why, or why already."""

    cluster: str
    address: str
    workload: str
    out: bool
    text: str
    occurrence: str


@dataclass(slots=True)
class _Out:
    """An ejection under way. `told_ms` 0: not yet."""

    generation: int
    occurrence: str
    until_ms: int
    probed: bool
    looks: int = 0
    told_ms: int = 0


class Sightings:
    """Compares what the scoreboard says with the look before. `replica` is our name; `began` tells one life of the
    replica from another, since what it decides alone is counted from 0 in each."""

    def __init__(self, board: Scoreboard, replica: str, began: str) -> None:
        self._board = board
        self._replica = replica
        self._began = began
        self._slots: dict[str, tuple[ClusterForm, tuple[int, ...]]] = {}
        """Made once for each form of a cluster: there may be many, and all are looked at."""
        self._out: dict[str, dict[int, _Out]] = {}
        """By cluster and slot: another Pod at the address is another endpoint."""

    def look(self, clusters: Mapping[str, ClusterForm], now_ms: int, now_s: float) -> Iterator[Sighting]:
        """What is new. `now_ms`: CLOCK_MONOTONIC; `now_s`: the wall clock, for people."""
        for gone in self._slots.keys() - clusters.keys():
            del self._slots[gone]
            self._out.pop(gone, None)
        for name, form in clusters.items():
            if name in self._out or self._board.outlier.count_ejected(self._slots_of(form)):
                yield from self._look_at(form, now_ms, now_s)

    def _slots_of(self, form: ClusterForm) -> tuple[int, ...]:
        known = self._slots.get(form["name"])
        if known is None or known[0] is not form:
            known = self._slots[form["name"]] = form, tuple(each["slot"] for each in form["endpoints"])
        return known[1]

    def _look_at(self, form: ClusterForm, now_ms: int, now_s: float) -> Iterator[Sighting]:
        before, now = self._out.pop(form["name"], {}), dict[int, _Out]()
        for endpoint in form["endpoints"]:
            address, slot = join(endpoint["ip"], endpoint["port"]), endpoint["slot"]
            state, known = self._board.outlier.state(slot), before.get(slot)
            if state.ejected_until_ms > now_ms:
                now[slot] = known = self._still_out(form, known, state)
                if self._is_due(form, known, state, now_ms):
                    known.told_ms = now_ms
                    text = self._why(form, endpoint, state, now_ms, now_s)
                    yield Sighting(form["name"], address, endpoint["workload"], True, text, known.occurrence)
            elif known and known.told_ms:
                text = _why_back(known, now_ms)
                yield Sighting(form["name"], address, endpoint["workload"], False, text, known.occurrence)
        if now:
            self._out[form["name"]] = now

    def _still_out(self, form: ClusterForm, known: _Out | None, state: OutlierState) -> _Out:
        if known is None or known.generation != state.generation:
            occurrence, probed = self._occurrence(form, state), bool(state.probe_at_ms)
            return _Out(state.generation, occurrence, state.ejected_until_ms, probed)
        known.looks += 1
        known.until_ms = state.ejected_until_ms
        if not known.told_ms:
            known.occurrence = self._occurrence(form, state)  # the fleet may have heard of it meanwhile
        return known

    def _occurrence(self, form: ClusterForm, state: OutlierState) -> str:
        """The same for all that have it from Redis; our own for what we have decided alone."""
        _, epoch = self._board.clusters.fleet_version(form["slot"])
        who = f"fleet {epoch}" if state.shared else f"{self._replica} {self._began}"
        return f"{form['name']} {state.generation} {who}"

    def _is_due(self, form: ClusterForm, known: _Out, state: OutlierState, now_ms: int) -> bool:
        if state.held:
            return False  # Redis is being asked
        if known.told_ms:
            return now_ms - known.told_ms >= AGAIN_MS
        if state.shared:
            return known.looks >= (0 if state.by == self._replica else OTHERS_LOOKS)
        decides_alone = state.private or not self._shared(form)
        return decides_alone or known.looks >= UNSETTLED_LOOKS

    def _shared(self, form: ClusterForm) -> bool:
        return self._board.shared_state and not self._board.clusters.alone(form["slot"])

    # -- words ------------------------------------------------------------------------------------------------------

    def _why(self, form: ClusterForm, endpoint: EndpointForm, state: OutlierState, now_ms: int, now_s: float) -> str:
        rule = f" (DestinationRule {form['destination_rule']})" if form["destination_rule"] else ""
        who = "all replicas" if state.shared else f"replica {self._replica} alone"
        how = self._how(endpoint, state)
        return f"{_until(state, now_ms, now_s)}: {how}{'' if is_by_hand(state.reason) else rule}, for {who}"

    def _how(self, endpoint: EndpointForm, state: OutlierState) -> str:
        if is_by_hand(state.reason):
            return f"by hand ({state.by or 'unknown'}: {state.reason})"
        causes = words_of(self._board.endpoints.causes(endpoint["slot"], max(1, state.run)))
        why = f": {causes}" if causes else ""
        if state.reason == PROBE_FAILED:
            return f"the request that tried it failed{why}"
        if state.reason in _RATES:
            return f"{_RATES[state.reason].format(state.run)}{why}"
        whose = " of this replica only" if state.private else ""
        return f"{state.run} consecutive {_FAILURES.get(state.reason, 'failures')}{whose}{why}"


_RATES = {
    SUCCESS_RATE: "{} % of its requests succeeded, far fewer than of others",
    FAILURE_PERCENTAGE: "{} % of its requests failed",
}
_FAILURES = {
    CONSECUTIVE_GATEWAY_FAILURE: "gateway errors",
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE: "local-origin failures",
}


def _why_back(known: _Out, now_ms: int) -> str:
    if now_ms > known.until_ms - EARLY_MS:
        return "its time is over"
    if known.probed:
        return "a request that tried it has succeeded, or somebody has put it back"
    return "it was put back before its time"


def _until(state: OutlierState, now_ms: int, now_s: float) -> str:
    if state.probe_at_ms:
        return f"until a request succeeds that tries it, from {_at(state.probe_at_ms, now_ms, now_s)} on"
    if written(state.ejection_ms) == "forever":
        return "until it is put back"
    return f"until {_at(state.ejected_until_ms, now_ms, now_s)} ({written(state.ejection_ms)})"


def _at(ms: int, now_ms: int, now_s: float) -> str:
    return datetime.fromtimestamp(round(now_s + (ms - now_ms) / 1000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
