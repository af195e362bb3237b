"""How an endpoint stands with this replica, and who may change it. Pure: a table.

    in        it takes traffic
    held      out by this replica's own decision, Redis has not answered yet: not yet in the log
    own       out by this replica's own decision, which stands; the fleet is to be asked whether it follows
    private   out here only: the replica does not trust its own network, or is the only one to see the failures
    shared    out for the fleet: Redis knows of it. If it is not there at the next look, a hand has lifted it

Everything that can happen to it is one of these moves; one that the table does not have changes nothing:

    decide    the rule, on this replica's own count; or a probe that failed while there was no fleet. All that is held
              comes from here, and the log does not know it yet
    stand     no answer will come in time, so a hold stands; of one that stands already there is nothing to say
    keep      nor is the fleet to follow. What the fleet has out is not made private: it is not this replica's
    confirm   Redis says so, and its word is the last, whatever was thought here
    release   Redis does not agree with this replica's decision; so nothing that Redis itself has out
    end       its time is over, or it is lifted

`decide` and `confirm` alone lead out, `release` and `end` alone lead back in. An ejection is logged once it stands in
whatever way, and its return if it was: one line each.

Whether a move is asked for in time (the same generation, not older news) is told by its caller, ejections.py.
"""

from collections.abc import Mapping
from enum import Enum

from proxy.scoreboard.views import OutlierState


class Standing(Enum):
    """The value is how a row of the scoreboard says it: held, logged, shared, private."""

    IN = (False, False, False, False)
    HELD = (True, False, False, False)
    OWN = (False, True, False, False)
    PRIVATE = (False, True, False, True)
    SHARED = (False, True, True, False)

    @property
    def logged(self) -> bool:
        """The log has a line of it, and will have one of its return."""
        return self.value[1]

    def on(self, row: OutlierState) -> OutlierState:
        """The row, so marked."""
        held, logged, shared, private = self.value
        return row._replace(held=held, logged=logged, shared=shared, private=private)


class Move(Enum):
    """What may happen."""

    DECIDE = "decide"
    STAND = "stand"
    KEEP = "keep"
    CONFIRM = "confirm"
    RELEASE = "release"
    END = "end"


IN, HELD, OWN, PRIVATE, SHARED = Standing

MOVES: Mapping[Move, Mapping[Standing, Standing]] = {
    Move.DECIDE: {IN: HELD, HELD: HELD, OWN: HELD, PRIVATE: HELD, SHARED: HELD},
    Move.STAND: {HELD: OWN},
    Move.KEEP: {HELD: PRIVATE, OWN: PRIVATE, PRIVATE: PRIVATE},
    Move.CONFIRM: {IN: SHARED, HELD: SHARED, OWN: SHARED, PRIVATE: SHARED, SHARED: SHARED},
    Move.RELEASE: {HELD: IN, OWN: IN, PRIVATE: IN},
    Move.END: {HELD: IN, OWN: IN, PRIVATE: IN, SHARED: IN},
}


def standing(row: OutlierState) -> Standing:
    """How a row stands; one whose time is over stands as before until its end is noted."""
    if not row.ejected_until_ms:
        return IN
    if row.shared:
        return SHARED
    if row.private:
        return PRIVATE
    return HELD if row.held else OWN


def after(row: OutlierState, move: Move) -> Standing | None:
    """How it stands after the move; None: that move is not to be made."""
    return MOVES[move].get(standing(row))
