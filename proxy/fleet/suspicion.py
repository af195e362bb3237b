"""Whether this replica's own network is to blame: then what it cannot reach is no news for the fleet.

A replica that sees failures of local origin (refused, broken, silent) on many of the endpoints it has to do with more
probably has lost its own network, or its certificate, than found them all dead. It goes on deciding by itself and tells
nobody, until it reaches them again. Where an endpoint's side has spoken (proxy/policy/cause.py says when) its network
is not to blame, and that counts as contact.
"""

import logging
from collections import Counter

from proxy.fleet.clusters import Endpoint
from proxy.fleet.loop import Loop
from proxy.policy.causes import word_of
from proxy.scoreboard.scoreboard import Scoreboard

log = logging.getLogger(__name__)

WINDOW_MS = 10_000
# It suspects itself with failures on so many endpoints, if these are at least half of those it had to do with.
ENDPOINTS = 3
# Looking at all endpoints takes one part of the time in so many, beside one look for each endpoint that begins to fail.
LOOKING_REST = 10


def suspicious(contacted: int, unreachable: int) -> bool:
    """The rule, for numbers of endpoints within one window."""
    return unreachable >= ENDPOINTS and 2 * unreachable >= contacted


class Suspicion:
    """One worker's; what it finds is on the scoreboard, for all workers of the replica."""

    def __init__(self, scoreboard: Scoreboard, loop: Loop) -> None:
        self._scoreboard = scoreboard
        self._loop = loop
        self._next_look_ns = 0

    def cleared(self, endpoint: Endpoint, cause: int = 0) -> bool:
        """The endpoint has failed without an answer; whether the fleet is to be told."""
        another = self._scoreboard.endpoints.note_local_failure(endpoint.slot, WINDOW_MS, cause)
        return not self.look(at_once=another)

    def look(self, *, at_once: bool = False) -> bool:
        """Whether this replica suspects itself now, or did a moment ago; says so when that changes."""
        began_ns = self._loop.now_ns()
        if began_ns < self._next_look_ns and not at_once:
            return self._scoreboard.suspects_itself
        contacted, unreachable = self._scoreboard.endpoints.reach(WINDOW_MS)
        self._next_look_ns = began_ns + (self._loop.now_ns() - began_ns) * LOOKING_REST
        value = suspicious(contacted, unreachable)
        if self._scoreboard.suspect_itself(value):
            self._tell(value, contacted, unreachable)
        return value

    def _tell(self, value: bool, contacted: int, unreachable: int) -> None:
        seen = f"{unreachable} of {contacted} endpoints failed without an answer in the last {WINDOW_MS // 1000} s"
        seen += self._causes()
        if value:
            log.warning("%s: this replica suspects its own network, and keeps to itself what it cannot reach", seen)
        else:
            log.info("%s: this replica trusts its own network again", seen)

    def _causes(self) -> str:
        """(2 refused, 1 tls)"""
        found = Counter(word_of(cause) for cause in self._scoreboard.endpoints.unreachable(WINDOW_MS) if cause)
        return f" ({', '.join(f'{count} {word}' for word, count in found.most_common())})" if found else ""
