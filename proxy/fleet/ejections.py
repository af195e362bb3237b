"""Every change of an endpoint's ejection on the scoreboard, with the line it puts in the log.

All workers of a replica share the rows, so each change is made under the cluster's lock by whoever learns of it first, and
that one logs it: one line for each ejection and each return. An ejection is

    held      this replica's own decision, Redis has not answered yet: out of balancing, not yet in the log
    logged    in the log, and its return will be too
    shared    known to Redis: if it is not there at the next look, a hand has lifted it
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from proxy.fleet.members import Group, Member
from proxy.observe import outlier_log
from proxy.observe.outlier_log import Line
from proxy.scoreboard import OutlierState, Scoreboard


@dataclass(frozen=True, slots=True)
class Known:
    """An ejection as Redis tells it, in a verdict, an event or a view."""

    left_ms: int
    ejection_ms: int
    generation: int
    failures: int
    ejections: int
    backoff: int
    by: str
    reason: str


class Ejections:
    """Writes the scoreboard and the log for one worker. `now_ms` is CLOCK_MONOTONIC in milliseconds."""

    def __init__(self, scoreboard: Scoreboard, worker: int, replica: str, log: Line) -> None:
        self._scoreboard = scoreboard
        self._worker = worker
        self._replica = replica
        self._log = log

    @contextmanager
    def _locked(self, group: Group) -> Iterator[None]:
        self._scoreboard.lock_cluster(group.slot)
        try:
            yield
        finally:
            self._scoreboard.unlock_cluster(group.slot)

    def state(self, member: Member) -> OutlierState:
        """What the scoreboard says now."""
        return self._scoreboard.outlier_state(member.slot)

    def stand(self, group: Group, member: Member, generation: int) -> None:
        """A held ejection of that generation becomes one that stands, by this replica's own decision."""
        with self._locked(group):
            state = self.state(member)
            if not state.held or state.generation != generation:
                return
            self._scoreboard.set_outlier_state(member.slot, state._replace(held=False, logged=True))
        if not state.logged:
            self._log_ejection(group, member, state.run, state.ejection_ms, self._replica, "consecutive_5xx")

    def confirm(self, group: Group, member: Member, known: Known, now_ms: int) -> None:
        """Redis says that the endpoint is out: for so long, of that generation."""
        until_ms = now_ms + known.left_ms
        with self._locked(group):
            state = self.state(member)
            if known.generation < state.generation and not state.held:
                return  # news from before what is known already
            self._scoreboard.set_outlier_state(
                member.slot,
                state._replace(
                    failures=0,
                    generation=known.generation,
                    ejections=known.ejections,
                    backoff=known.backoff,
                    ejected_until_ms=until_ms,
                    ejection_ms=known.ejection_ms,
                    unejected_at_ms=until_ms,
                    run=known.failures,
                    held=False,
                    logged=True,
                    shared=True,
                    dirty=False,
                ),
            )
        if not state.logged:
            self._log_ejection(group, member, known.failures, known.ejection_ms, known.by, known.reason)

    def release(self, group: Group, member: Member, generation: int, failures: int, now_ms: int) -> None:
        """Redis does not agree with a held ejection, or with one made while it was away: the endpoint is back."""
        self._end(group, member, "not_shared", now_ms, generation=generation, failures=failures, only_local=True)

    def lift(self, group: Group, member: Member, reason: str, now_ms: int) -> None:
        """The endpoint is back before its time."""
        self._end(group, member, reason, now_ms)

    def expire(self, group: Group, member: Member, now_ms: int) -> None:
        """Notes a return whose time has come; balancing has taken the endpoint back by itself."""
        state = self.state(member)
        if 0 < state.ejected_until_ms <= now_ms:
            self._end(group, member, "expired", now_ms, only_expired=True)

    def _end(
        self,
        group: Group,
        member: Member,
        reason: str,
        now_ms: int,
        generation: int = 0,
        failures: int = 0,
        only_local: bool = False,
        only_expired: bool = False,
    ) -> None:
        with self._locked(group):
            state = self.state(member)
            if not state.ejected_until_ms or (only_local and state.shared):
                return
            if only_expired and state.ejected_until_ms > now_ms:
                return
            self._scoreboard.set_outlier_state(
                member.slot,
                state._replace(
                    failures=failures,
                    generation=generation or state.generation,
                    ejected_until_ms=0,
                    unejected_at_ms=min(now_ms, state.ejected_until_ms),
                    held=False,
                    logged=False,
                    shared=False,
                    dirty=failures > 0,
                ),
            )
        if state.logged:
            self._scoreboard.count(self._worker, group.slot, unejections=1)
            self._log(outlier_log.unejecting(member.address, member.workload, reason, group.name, self._replica))

    def learn(self, group: Group, member: Member, generation: int, dirty: bool) -> None:
        """The endpoint is in; Redis knows it under that generation, with or without a run of failures."""
        with self._locked(group):
            state = self.state(member)
            self._scoreboard.set_outlier_state(
                member.slot, state._replace(generation=max(generation, state.generation), dirty=dirty)
            )

    def overflow(self, group: Group, member: Member, failures: int) -> None:
        """The run reached the threshold and the cap forbids the ejection."""
        self._scoreboard.count(self._worker, group.slot, overflows=1)
        out = self._scoreboard.count_ejected(group.slots)
        self._log(
            outlier_log.overflow(
                member.address,
                member.workload,
                failures,
                out,
                group.policy.endpoints,
                group.policy.max_ejection_percent,
                group.name,
                self._replica,
            )
        )

    def _log_ejection(
        self, group: Group, member: Member, failures: int, ejection_ms: int, by: str, reason: str
    ) -> None:
        self._scoreboard.count(self._worker, group.slot, ejections=1)
        self._log(
            outlier_log.ejecting(member.address, member.workload, failures, ejection_ms, group.name, by, reason)
        )
