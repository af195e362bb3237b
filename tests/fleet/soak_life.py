"""What happens to the fleet during the soak, at random times from a seed: one heap of things to do, in one thread."""

import heapq
import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.fleet.fleet_rig import Fleet, key
from tests.fleet.soak_parts import Flapping, Server
from tests.manifests import rule

THRESHOLD = 3
RULE: dict[str, Any] = {"interval": "1s", "baseEjectionTime": "2s", "maxEjectionPercent": 50}
DRAIN_SECONDS = 3.0
STEADY = 0
"""The replica that is never stopped: its processes show whether memory grows over the whole time."""
MORTAL = 0
"""The endpoint that dies, and the one that hands take out. The cap does not stop a hand: with two out by the fleet and
one by hand, a dead one would be all there is left to send requests to."""


class Life:
    """`step` does what is due."""

    def __init__(self, made: Fleet, members: list[Flapping], server: Server, seed: int) -> None:
        self._made, self._members, self._server = made, members, server
        self._random = random.Random(seed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._away: dict[str, Callable[[], None]] = {}  # what is away, and what brings it back
        self.done: Counter[str] = Counter()
        self._stops: list[tuple[float, int]] = []  # when, which replica
        for act, least, most in (
            (self._flap, 1, 5),
            (self._endpoint_dies, 30, 60),
            (self._server_dies, 25, 60),
            (self._replica_stops, 25, 60),
            (self._rule_changes, 10, 30),
            (self._hang_up, 20, 40),
            (self._operator, 4, 12),
        ):
            self._again(act, least, most)

    def _again(self, act: Callable[[], None], least: float, most: float) -> None:
        def run() -> None:
            act()
            self._again(act, least, most)

        self._later(self._random.uniform(least, most), run)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), act))

    def step(self) -> None:
        """Does what is due."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def is_away(self, name: str) -> bool:
        return name in self._away

    def stopped(self, replica: int, after: float, before: float) -> bool:
        """Whether that replica was told to stop between these times."""
        return any(replica == which and after < at <= before for at, which in self._stops)

    def end(self) -> None:
        """Brings back what is away, heals everything, and begins nothing new."""
        self._due = []
        for name in list(self._away):
            self._bring_back(name)
        for member in self._members:
            member.fail(0)

    def _back(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        self._away[name] = act
        self._later(seconds, lambda: self._bring_back(name))

    def _bring_back(self, name: str) -> None:
        self._away.pop(name)()

    def _flap(self) -> None:
        self.done["flapping changed"] += 1
        self._random.choice(self._members).fail(self._random.choice((0, 0, 20, 50, 100)))

    def _endpoint_dies(self) -> None:
        member = self._members[MORTAL]
        self.done["endpoint killed"] += 1
        member.kill()
        self._back("endpoint", self._random.uniform(3, 15), member.start)

    def _server_dies(self) -> None:
        empty = self._random.random() < 0.4
        self.done["Redis killed, data lost" if empty else "Redis killed"] += 1
        self._server.kill()
        self._back("server", self._random.uniform(0.1, 6), lambda: self._server.start(empty))

    def _replica_stops(self) -> None:
        which = self._random.choice([n for n in range(len(self._made.replicas)) if n != STEADY])
        waypoint = self._made.replicas[which].waypoint
        self.done["replicas stopped"] += 1
        self._stops.append((time.time(), which))
        waypoint.process.send_signal(signal.SIGTERM)

        def start() -> None:
            waypoint.stop()
            waypoint.start()

        self._back("replica", self._random.uniform(DRAIN_SECONDS + 1, 10), start)

    def _rule_changes(self) -> None:
        """To another threshold and back, in every replica, though not at the same moment."""
        self.done["rules changed"] += 1
        self._put(THRESHOLD + self._random.choice((1, 2)))
        self._back("rule", self._random.uniform(2, 6), lambda: self._put(THRESHOLD))

    def _put(self, threshold: int) -> None:
        for manifests in self._made.manifests:
            manifests.put("rule", rule(**RULE | {"consecutive5xxErrors": threshold}))

    def _hang_up(self) -> None:
        """A reload that is asked for, of a replica that is not being stopped."""
        replica = self._random.choice(self._made.replicas)
        if "replica" not in self._away and replica.ready():
            self.done["HUP"] += 1
            os.kill(replica.waypoint.pid, signal.SIGHUP)

    def _operator(self) -> None:
        """Puts an endpoint back, or takes one out, or changes for how long."""
        if "server" in self._away:
            return
        what = self._random.choice(("del", "set", "pexpire"))
        target = key(self._members[MORTAL] if what == "set" else self._random.choice(self._members))
        edits: dict[str, list[str]] = {
            "del": [],
            "set": ["reason=maintenance by=alice", "px", "4000"],
            "pexpire": ["5000"],
        }
        program = shutil.which("redis-cli") or shutil.which("valkey-cli") or ""
        command = [program, "-u", self._server.url, what, target, *edits[what]]
        subprocess.run(command, check=True, capture_output=True, timeout=10)
        self.done[f"operator: {what}"] += 1
