"""An hour of everything that can happen to a fleet at once; SOAK_SECONDS for another time, SOAK_SEED for another life.

Not in CI. `make soak` prints a line every minute and a table at the end.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fleet.fleet_rig import Fleet, ejected, fleet, key
from tests.fleet.soak_books import Log, Sizes, Stream, unexplained, untold
from tests.fleet.soak_life import RULE, Life
from tests.fleet.soak_parts import Clients, Flapping, Server
from tests.rig import SUFFIXES, free_port, wait_until

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
RATE, CLIENTS = 200.0, 12
NETWORK = "127.8.7"

# Bounds. A process settles in five minutes, or in a sixth of the time there is.
SETTLE_SECONDS = min(300.0, SECONDS / 6)
GROWTH_MIB = 4.0
GROWTH_DESCRIPTORS = 24  # the clients' connections, and as many to endpoints: other replicas may be down
REDIS_GROWTH_MIB = 2.0
STOPPING_SECONDS = 15.0  # so long after it was told to stop a replica may close connections, refuse and come back


@dataclass
class Soak:
    """All there is, for the lines and the checks."""

    made: Fleet
    members: list[Flapping]
    server: Server
    clients: Clients
    stream: Stream
    life: Life
    logs: list[Log]
    sizes: Sizes
    redis_mib: list[float]

    def look(self) -> None:
        for log in self.logs:
            log.read()
        self.sizes.sample(self.made.replicas)
        if not self.life.is_away("server"):
            self.redis_mib.append(self.server.client.info("memory")["used_memory"] / 2**20)

    def line(self, seconds: float) -> str:
        seen = self.clients.seen
        grown = max((grown for _, grown, _ in self.sizes.grown()), default=0.0)
        return (
            f"{seconds / 60:4.0f} min  {sum(seen.statuses.values())} requests, {seen.statuses[503]} failed,"
            f" {len(seen.broken)} broken, {len(seen.stale)} stale, {len(seen.reset)} reset;"
            f" {sum(len(log.ejections) for log in self.logs)} ejection lines, {len(self.stream.entries)} entries;"
            f" memory +{grown:.1f} MiB at most, Redis {self.redis_mib[-1]:.1f} MiB"
        )


@contextlib.contextmanager
def soak(path: Path) -> Iterator[Soak]:
    with contextlib.ExitStack() as stack:
        server = Server(path / "server")
        server.start()
        stack.callback(server.kill)
        members = [
            Flapping(f"in-ambient-7d8f9b6c54-{name}", f"{NETWORK}.{number + 1}", port)
            for port in [free_port(f"{NETWORK}.1")]
            for number, name in enumerate(SUFFIXES[:4])
        ]
        for member in members:
            member.prepare(path / member.name)
            member.start()
            stack.callback(member.kill)
        made = stack.enter_context(fleet(path, server.url, workers=2, replicas=3, members=members, **RULE))
        clients = Clients([each.port for each in made.replicas], RATE, CLIENTS)
        logs = [Log(each.waypoint.out, each.waypoint.err) for each in made.replicas]
        stream = stack.enter_context(Stream(server))
        life = Life(made, members, server, SEED)
        yield Soak(made, members, server, clients, stream, life, logs, Sizes(SETTLE_SECONDS), [])


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_an_hour_of_everything(tmp_path: Path) -> None:
    with soak(tmp_path) as running:
        with running.clients:
            live(running)
            running.life.end()
            wait_until(lambda: all(each.ready() for each in running.made.replicas), 15, "all replicas are back")
            running.server.client.set(key(running.members[0]), "reason=maintenance by=alice", px=60_000)
            wait_until(lambda: agreed(running), 10, "the replicas and Redis agree, on one endpoint at least")
            time.sleep(1)
        running.look()
        print(table(running))
        check(running)


def live(running: Soak) -> None:
    began = time.monotonic()
    looked = told = began
    broken = running.clients.seen.broken
    shown = 0
    while (now := time.monotonic()) < began + SECONDS:
        running.life.step()
        if now >= looked + 2:
            running.look()
            looked = now
            while shown < len(broken):  # the replicas' logs are still near
                print(broken[shown], flush=True)
                shown += 1
        if now >= told + 60:
            print(running.line(now - began), flush=True)
            told = now
        time.sleep(0.05)


def agreed(running: Soak) -> bool:
    """Every replica's scoreboard has out what Redis has."""
    out = {member.address for member in running.members if running.server.client.exists(key(member))}
    return all(ejected(each) == out for each in running.made.replicas)


def table(running: Soak) -> str:
    seen, done = running.clients.seen, running.life.done
    missing, alone = unexplained(running.logs, running.stream, running.server)
    answers = sum((log.answers for log in running.logs), start=type(running.logs[0].answers)())
    grown = running.sizes.grown()
    rows = {
        "seconds, seed": f"{SECONDS:g}, {SEED}",
        "what happened": ", ".join(f"{name} {count}" for name, count in sorted(done.items())),
        "requests by status": dict(seen.statuses),
        "failed by endpoints themselves": sum(member.failed for member in running.members),
        "access log, status and flags": {f"{status} {flags}": n for (status, flags), n in answers.most_common()},
        "not answered by any replica, or broken": len(seen.broken),
        "new connections reset while a replica closed its listeners": len(seen.reset),
        "kept connections closed while a replica stopped": len(seen.stale),
        "refused while a replica was down": len(seen.refused),
        "ejection lines": sum(len(log.ejections) + log.alone for log in running.logs),
        "... of one replica only: without Redis, or suspecting itself": alone,
        "... unexplained": len(missing),
        "entries of the stream": len(running.stream.entries),
        "... ejections without a line": len(untold(running.logs, running.stream, running.server)),
        "processes that settled": len(grown),
        "memory gained, MiB": ", ".join(f"{size.name} {gained:.2f}" for size, gained, _ in grown),
        "most memory of one, MiB": f"{max(size.most for size, _, _ in grown):.1f}",
        "most descriptors gained by one": max(gained for _, _, gained in grown),
        "Redis, MiB, least and most": f"{min(running.redis_mib):.1f}, {max(running.redis_mib):.1f}",
    }
    return "\n".join(["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def check(running: Soak) -> None:
    seen = running.clients.seen
    assert not seen.broken, seen.broken[:20]
    assert set(seen.statuses) <= {200, 503}
    assert not any(log.odd for log in running.logs), "answers that the proxy made"
    assert seen.statuses[503] <= sum(member.failed for member in running.members), "failures that no endpoint made"
    assert not seen.reset, seen.reset[:20]
    for note in (*seen.stale, *seen.refused):
        assert running.life.stopped(note.replica, note.used - STOPPING_SECONDS, note.at), note

    assert not unexplained(running.logs, running.stream, running.server)[0]
    assert not untold(running.logs, running.stream, running.server)

    for size, mib, descriptors in running.sizes.grown():
        assert mib < GROWTH_MIB, size
        assert descriptors <= GROWTH_DESCRIPTORS, size
    assert max(running.redis_mib) < min(running.redis_mib) + REDIS_GROWTH_MIB
    for replica in running.made.replicas:
        assert "Traceback" not in replica.waypoint.errors()
