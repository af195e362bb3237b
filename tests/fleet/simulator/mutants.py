"""Mends taken back, one at a time, to see that their lack is noticed: each of faults S-F1 to S-F9 as it once was, and
what the simulator itself has found.

Lua is changed as text before it is sent, Python by putting the former words in place of a method.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from proxy.fleet import reporter
from proxy.fleet.differences import Differences
from proxy.fleet.door import Fleet
from proxy.fleet.leader import Leader
from state import scripts
from state.operating import operator
from state.outlier import redis_store
from state.outlier.store import CONSECUTIVE_5XX

Mutation = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Mutant:
    """`breaks`: the invariants that may be the first to notice; `only` of these things going wrong it shows soonest, in
    one of the seeds from `first` on."""

    breaks: frozenset[str]
    only: tuple[str, ...]
    made: Mutation
    first: int = 0


def lua(*changes: tuple[str, str]) -> Mutation:
    """Each text must be in some script."""

    @cache
    def source(name: str) -> str:
        text = scripts.source(name)
        for before, after in changes:
            text = text.replace(before, after)
        return text

    @contextmanager
    def made() -> Iterator[None]:
        texts = "".join(map(scripts.source, ("report", "offer", "forget")))
        assert all(before in texts for before, _ in changes), "the mend is not written like that any more"
        with patch.object(redis_store, "source", source), patch.object(operator, "source", source):
            yield

    return made


def method(owner: type, name: str, former: Any) -> Mutation:
    return lambda: patch.object(owner, name, former)


def both(*mutations: Mutation) -> Mutation:
    @contextmanager
    def made() -> Iterator[None]:
        with ExitStack() as stack:
            for mutation in mutations:
                stack.enter_context(mutation())
            yield

    return made


def one_at_a_time() -> AbstractContextManager[object]:
    return patch.object(reporter, "MOST_ON_THEIR_WAY", 1)


def _without_reason(self: Differences, *given: Any, _offer: Any = Differences._offer) -> None:
    """S-F5: what is offered was ejected by the rule, whoever did it."""
    cluster, endpoint, view = given
    state = self._ejections.state(endpoint)
    self._desk.scoreboard.outlier.set_state(endpoint.slot, state._replace(reason=CONSECUTIVE_5XX, by=""))
    _offer(self, cluster, endpoint, view)


MUTANTS: Mapping[str, Mutant] = {
    # The cap counted whoever was out, also those whom no replica has any more.
    "S-F1": Mutant(
        frozenset({"late"}),
        ("hand_ejects", "removed", "removed", "removed"),
        lua(("if #views == 0 or in_one_of(views, member) then count = count + 1 end", "count = count + 1")),
    ),
    # Of two names for one pod the one that came last won, and deleted what was counted under the other.
    "S-F2": Mutant(
        frozenset({"late", "order", "spread"}),
        ("pod_replaced_unseen",),
        lua(("if #names > 1 then return disputed(r, names, by) end", "")),
    ),
    # What old data brought back stayed there, and was over here.
    "S-F3": Mutant(
        frozenset({"one_mind"}),
        ("hand_ejects", "hand_unejects", "hand_unejects", "restart_old"),
        method(Differences, "withdraw", lambda *given: False),
    ),
    # The cap stopped hands, when what they had done was offered again.
    "S-F4": Mutant(
        frozenset({"hand"}),
        ("hand_ejects", "restart_empty"),
        lua(("if not by_hand and not make_room()", "if not make_room()")),
    ),
    # A hand's ejection lost its reason and its name with the data.
    "S-F5": Mutant(
        frozenset({"hand"}), ("hand_ejects", "restart_empty"), method(Differences, "_offer", _without_reason)
    ),
    # A run had to be two milliseconds old, whatever the network, and a success that came too early was never told.
    "S-F6": Mutant(
        frozenset({"order"}),
        ("burst",),
        both(
            lua(("math.max(policy.min_run_ms, math.min(2 * round_trip, LONGEST_MIN_RUN_MS))", "policy.min_run_ms")),
            method(Leader, "_tell_success", lambda *given: None),
        ),
    ),
    # A lock that was not given back was everybody's business.
    "S-F8": Mutant(frozenset({"mistake"}), ("stopped_with_lock",), method(Fleet, "_outcome", Fleet._count)),
    # Who first saw an endpoint go forgot it for all, whoever had ejected it.
    "S-F9": Mutant(
        frozenset({"hand"}),
        ("removed_in_one", "hand_ejects"),
        lua(
            ("if r.left > 0 and not RULES[r.reason] then return 0 end", ""),
            ("if in_one_of(views_but(ARGV[4]), r.endpoint) then return 0 end", ""),
        ),
    ),
    # Data from before a hand had the endpoint out by the rule, and that was left so.
    "a hand after the snapshot": Mutant(
        frozenset({"hand"}),
        ("hand_ejects", "hand_ejects", "restart_old"),
        lua(("if r.left > 0 and not (by_hand and offered.generation > r.generation) then", "if r.left > 0 then")),
    ),
    # A report waited for the answer to the one before it.
    "a report that waits": Mutant(frozenset({"order"}), (), one_at_a_time, first=14407),
    # A hand wrote the key of what was out by the rule, and it stayed the rule's.
    "a hand over the rule": Mutant(
        frozenset({"hand"}),
        ("key_set",),
        lua(("if number(named(text, 'generation')) ~= r.generation and other_words then return adopt(r) end", "")),
    ),
}
