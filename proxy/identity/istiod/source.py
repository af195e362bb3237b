"""istiod as a source of certificates: asked at the start and at half their lives, and again while it does not answer.

What is in force stays so whatever becomes of istiod; no request waits for it.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gevent

from proxy.identity.certificates import Certificates, Contents, Unusable, stamp
from proxy.identity.istiod.ask import Mounted, NotSigned, ask, mounted
from proxy.identity.istiod.authority import Authority
from proxy.identity.istiod.renewal import Renewal
from proxy.identity.source import Finding

log = logging.getLogger("controller")

LOOK_S = 1.0
"""How often the mounted files are looked at."""
LONGEST_S = 20.0
"""For one request with all that is not bounded by itself: a resolver, a handshake whose octets come one by one."""
UNREAD = 64
"""So many answers are kept until somebody looks, who may be in another thread."""

Ask = Callable[[Authority, Mounted, float], Contents]


class Istiod:
    """`wall` is the clock that certificates speak of, `monotonic` that of waiting."""

    def __init__(
        self,
        authority: Authority,
        renewal: Renewal | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        ask: Ask = ask,
    ) -> None:
        self._authority = authority
        self._renewal = renewal or Renewal()
        self._wall = wall
        self._monotonic = monotonic
        self._ask = ask
        self._mounted: Mounted | None = None
        self._requests = self._failures = 0
        self._problems: tuple[str, ...] = ()
        waiting = (f"{authority.url}: its answer to our first request is still to come",)
        self._news = deque([Finding(None, waiting, waiting=True)], UNREAD)

    @property
    def option(self) -> str | None:
        """The setting that names it."""
        return "--ca"

    def look(self, now: float) -> Finding | None:
        """What has come since the last look: the newest certificate, and what is wrong after it."""
        newest = None
        while self._news:
            found = self._news.popleft()
            newest = replace(found, certificates=found.certificates or (newest.certificates if newest else None))
        return newest

    def adopted(self, certificates: Certificates) -> None:
        """Go on with these until half their life is over."""
        self._news.clear()
        self._renewal.adopted(certificates.not_before, certificates.not_after)

    # -- asking -----------------------------------------------------------------------------------------------------

    def run(self, wake: Callable[[], None]) -> None:
        """Ask whenever it is time to. Does not return."""
        while True:
            if (left := self.step()) > 0:
                gevent.sleep(left)
            else:
                wake()

    def step(self) -> float:
        """Look whether it is time; seconds until it may be, or 0 when istiod has just been asked."""
        self._follow_mounted()
        left = self._renewal.wait(self._wall(), self._monotonic())
        if left > 0:
            return min(left, LOOK_S)
        self._attempt()
        return 0.0

    def _follow_mounted(self) -> None:
        """New roots are a reason to ask; new files of either kind are one to ask again if that has failed."""
        now = mounted(self._authority)
        if self._mounted and now.roots != self._mounted.roots:
            self._renewal.new_roots(self._monotonic())
        elif self._mounted and now.token != self._mounted.token:
            self._renewal.mended(self._monotonic())
        self._mounted = now

    def _attempt(self) -> None:
        assert self._mounted
        self._requests += 1
        url = self._authority.url
        try:
            with gevent.Timeout(LONGEST_S, NotSigned(f"no answer within {LONGEST_S:.0f} s")):
                contents = self._ask(self._authority, self._mounted, self._wall())
            from proxy.identity import checking  # see certificates.py

            found = checking.check(url, contents, self._wall())
        except NotSigned as fault:
            self._failed((f"{url}: {fault}",))
        except Unusable as fault:
            self._failed(fault.problems)
        except Exception as mistake:  # ours: it costs a line and a wait, but no certificate its renewal
            log.exception("a mistake in waypointd; please report it. %s is asked again", url)
            self._failed((f"{url}: {type(mistake).__name__}: {mistake}",))
        else:
            self._problems = ()
            self._news.append(Finding(found))
            self._renewal.got(found.not_after, self._wall(), self._monotonic())

    def _failed(self, problems: tuple[str, ...]) -> None:
        self._failures += 1
        self._problems = problems
        self._news.append(Finding(None, problems))
        self._renewal.failed(self._monotonic())

    # -- what is told -----------------------------------------------------------------------------------------------

    def unrenewed(self) -> str:
        """istiod has not, and why."""
        return f"{self._authority.url} has not renewed it" + "".join(f": {each}" for each in self._problems[:1])

    def shown(self) -> Mapping[str, Any]:
        """Whom we ask, how often it was, and when it will be again."""
        wall = self._wall()
        left = max(self._renewal.wait(wall, self._monotonic()), 0.0)
        return {"ca": self._authority.url, "next_request": stamp(wall + left), **self.counts()}

    def counts(self) -> Mapping[str, int]:
        """Requests to istiod, and how many of them brought no certificate."""
        return {"requests": self._requests, "failures": self._failures}
