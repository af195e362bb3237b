"""What the soak writes down and compares in the end: the log stream, the replicas' lines, memory and descriptors."""

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import redis

from tests.bench.processes import descendants
from tests.fleet.fleet_rig import CLUSTER
from tests.fleet.soak_parts import Server
from tests.rig import Background, Replica

STREAM = f"waypoint:{{{CLUSTER}}}:log"
_ACCESS = re.compile(r'^\[\S+\] "[^"]*" (\d+) (\S+) ')
_EJECTING = re.compile(
    r"^\[(\S+)\] warn waypoint outlier ejecting endpoint .*\bendpoint=(\S+).* ejection_time=([\d.]+)s"
)
_MODE = re.compile(r"^\[(\S+)\] \S+ proxy\.fleet\.\w+ Redis (does not answer|answers)")
SLACK_SECONDS = 1.5


class Stream(Background):
    """Reads the log stream from its beginning, across restarts; it keeps about 200 entries, so nothing may wait."""

    def __init__(self, server: Server) -> None:
        super().__init__(self._run)
        self.entries: list[tuple[float, dict[str, str]]] = []
        self._client: Any = redis.Redis.from_url(server.url, decode_responses=True, protocol=2, socket_timeout=2)

    def _run(self) -> None:
        last = "0-0"
        while not self.stopping.is_set():
            try:
                for _, entries in self._client.xread({STREAM: last}, block=200):
                    for last, fields in entries:
                        self.entries.append((int(last.partition("-")[0]) / 1000, fields))
            except redis.RedisError:
                time.sleep(0.01)

    def ejections(self) -> list[tuple[float, dict[str, str]]]:
        """Entries that put an endpoint out, or tell that it is out for a different time."""
        return [(at, fields) for at, fields in list(self.entries) if _puts_out(fields)]


def _puts_out(fields: dict[str, str]) -> bool:
    return fields["kind"] == "eject" or (fields["kind"] == "by_hand" and fields["why"] in ("ejected", "changed"))


@dataclass
class Line:
    """An ejection line of a replica."""

    at: float
    endpoint: str
    seconds: float


@dataclass
class Log:
    """What one replica has written, read as it grows."""

    path: Path
    errors: Path  # its other log, where it says who decides
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # status, response flags
    odd: list[str] = field(default_factory=list)  # lines of answers that the proxy made, the first ones
    ejections: list[Line] = field(default_factory=list)
    alone: int = 0  # ejections that are this replica's only, because it suspects itself
    _offset: int = 0

    def read(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
        self._offset += len(whole) + 1 if whole else 0
        for line in whole.decode(errors="replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        if access := _ACCESS.match(line):
            self.answers[access[1], access[2]] += 1
            if access[2] != "-" and len(self.odd) < 5:
                self.odd.append(line)
        elif "outlier ejecting endpoint due to consecutive failures of this replica only" in line:
            self.alone += 1
        elif told := _EJECTING.match(line):
            at = datetime.fromisoformat(told[1]).timestamp()
            self.ejections.append(Line(at, told[2], float(told[3])))

    def was_local(self, at: float) -> bool:
        """Whether the replica decided by itself then: 50 ms without an answer are enough, Redis need not be down."""
        local = False
        for said in filter(None, map(_MODE.match, self.errors.read_text(errors="replace").splitlines())):
            told = datetime.fromisoformat(said[1]).timestamp()
            if told > at + SLACK_SECONDS:
                break
            if local and told >= at - SLACK_SECONDS:
                return True
            local = said[2] == "does not answer"
        return local


def unexplained(logs: list[Log], stream: Stream, server: Server) -> tuple[list[Line], int]:
    """Ejection lines without an entry; and how many have none because they are one replica's only."""
    missing, alone = [], sum(log.alone for log in logs)
    entries = stream.ejections()
    for each, line in ((log, line) for log in logs for line in log.ejections):
        if not any(_explains(at, fields, line) for at, fields in entries):
            if server.was_away(line.at, before=SLACK_SECONDS, after=SLACK_SECONDS) or each.was_local(line.at):
                alone += 1
            else:
                missing.append(line)
    return missing, alone


def untold(logs: list[Log], stream: Stream, server: Server) -> list[tuple[float, dict[str, str]]]:
    """Entries of ejections that no replica has a line of, though they lasted long enough to be heard of."""
    lines = [line for log in logs for line in log.ejections]
    return [
        (at, fields)
        for at, fields in stream.ejections()
        if fields["kind"] == "eject"
        and not server.was_away(at, before=SLACK_SECONDS, after=SLACK_SECONDS)
        and not any(_explains(at, fields, line) for line in lines)
    ]


def _explains(at: float, fields: dict[str, str], line: Line) -> bool:
    """The line was written during the entry's ejection: a replica that comes later tells of it too."""
    if fields["endpoint"] != line.endpoint:
        return False
    return at - 0.1 <= line.at <= at + float(fields["ejection_time"].removesuffix("s")) + SLACK_SECONDS


@dataclass
class Size:
    """Of one process: resident memory in MiB and descriptors, when it had settled and lately."""

    name: str
    born: float
    settled: tuple[float, int] | None = None
    latest: tuple[float, int] = (0.0, 0)
    most: float = 0.0


class Sizes:
    """Of every process of every replica. One counts as settled after `settle` seconds."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._by_process: dict[tuple[int, str], Size] = {}  # pid and when it started: in an hour pids come again

    def sample(self, replicas: list[Replica]) -> None:
        for name, each in zip("abc", replicas, strict=True):
            for number, pid in enumerate(descendants(each.waypoint.pid)):
                self._sample(pid, f"{name}{number}")

    def _sample(self, pid: int, name: str) -> None:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
            found = pages * os.sysconf("SC_PAGESIZE") / 2**20, len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, IndexError):  # it has just ended
            return
        now = time.monotonic()
        size = self._by_process.setdefault((pid, started), Size(name, now))
        size.latest, size.most = found, max(size.most, found[0])
        if size.settled is None and now - size.born >= self._settle:
            size.settled = found

    def grown(self) -> list[tuple[Size, float, int]]:
        """Of those that had settled: how much memory and how many descriptors they have gained since."""
        return [
            (size, size.latest[0] - size.settled[0], size.latest[1] - size.settled[1])
            for size in self._by_process.values()
            if size.settled is not None
        ]
