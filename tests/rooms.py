"""The plan of the house: which rooms there are, and who may import whom. `python -m tests.rooms` draws it.

A room is a package or a module; the longest name that fits a module is its room. The rows stand from the ground up, and
a row may name only rows above it in this table: so no import runs up the house, and there is no circle.
tests/unit/test_layout.py holds the sources against it, .pyx and .pxd too; ARCHITECTURE.md has the drawing.
"""

from collections.abc import Mapping
from typing import NamedTuple

WAITING = frozenset({"gevent"})
MACHINE = frozenset({"asyncio", "os", "random", "redis", "select", "socket", "ssl", "subprocess", "threading", "time"})
PURE = WAITING | MACHINE


class Room(NamedTuple):
    """What a room may import of ours (`state` stands for all its rooms), and what of others it may not."""

    imports: str = ""
    never: frozenset[str] = frozenset()
    purpose: str = ""


ROOMS: Mapping[str, Room] = {
    # -- the ground: imports nothing of ours
    "proxy.version": Room("", PURE, "which version this is"),
    "proxy.addresses": Room("", PURE, "host:port as text"),
    "proxy.clock": Room("", purpose="the clock of all times in memory"),
    "proxy.log": Room("", WAITING, "the processes' own log"),
    "proxy.policy": Room("", PURE, "what to do, pure"),
    "proxy.policy.tokens": Room("", PURE, "what a token is worth, pure"),
    "proxy.mesh.traffic": Room("", PURE, "what traffic policies ask for"),
    "proxy.mesh.model": Room("proxy.addresses proxy.mesh.traffic", PURE, "what the mesh is"),
    "proxy.ipc.routing": Room("", PURE, "the form of routes"),
    "proxy.ipc.snapshot": Room("proxy.ipc.routing", PURE, "the form of a snapshot"),
    "state.errors": Room("", PURE, "what can go wrong with a store"),
    "state.keys": Room("", PURE, "names of Redis keys"),
    "state.constants": Room("", PURE, "numbers that Python and Lua share"),
    "state.durations": Room("state.constants", PURE, "durations as text"),
    "state.scripts": Room("state.constants", WAITING, "the Lua, loaded"),
    "state.lua": Room("", PURE, "the rules, as Redis runs them"),
    # -- the store
    "state.server": Room("state.errors state.keys state.scripts", WAITING, "how to get to Redis"),
    "state.outlier": Room(
        "state.constants state.errors state.keys state.scripts state.server", WAITING, "outcomes, rules, stores"
    ),
    "state.rate_limits": Room("state.keys state.scripts state.server", WAITING, "requests leased to replicas"),
    "state.warmup": Room("state.keys state.scripts state.server", WAITING, "since when endpoints are known"),
    "state.shares": Room("state.keys state.scripts state.server", WAITING, "limits shared out to replicas"),
    "state.operating": Room(
        "state.constants state.durations state.keys state.scripts state.server state.outlier",
        WAITING,
        "what people see and do",
    ),
    # -- the mesh
    "proxy.mesh.reading": Room("proxy.mesh.model proxy.mesh.traffic", PURE, "text to objects"),
    "proxy.mesh.kinds": Room(
        "proxy.policy.tokens proxy.mesh.model proxy.mesh.traffic proxy.mesh.reading", PURE, "one file a kind"
    ),
    "proxy.mesh.resolving": Room(
        "proxy.addresses proxy.mesh.model proxy.mesh.traffic proxy.mesh.reading proxy.mesh.kinds",
        PURE,
        "objects to one snapshot",
    ),
    "proxy.mesh.sources": Room("proxy.mesh.model proxy.mesh.reading", WAITING, "where manifests come from"),
    # -- the cluster
    "proxy.kubernetes": Room("", WAITING, "the Kubernetes API"),
    "proxy.kubernetes.api": Room("proxy.version", WAITING, "requests, and watches that are never lost"),
    "proxy.kubernetes.source": Room(
        "proxy.mesh.kinds proxy.kubernetes.api", WAITING, "what one Gateway needs of a cluster"
    ),
    "proxy.kubernetes.deployer": Room(
        "proxy.version proxy.log proxy.mesh.reading proxy.mesh.kinds proxy.kubernetes.api proxy.kubernetes.source",
        WAITING,
        "a waypoint for each Gateway",
    ),
    # -- bytes
    "proxy.scoreboard": Room("proxy.clock", WAITING, "memory that the processes of a replica share"),
    "proxy.wire.http": Room("", purpose="HTTP as octets"),
    "proxy.wire": Room("proxy.clock proxy.wire.http", purpose="streams over sockets"),
    "proxy.wire.http2": Room("proxy.clock proxy.wire proxy.wire.http", purpose="HTTP/2 over any stream"),
    "proxy.wire.tls": Room("proxy.clock proxy.wire proxy.wire.http2", purpose="mesh TLS"),
    "proxy.observe": Room("proxy.wire", purpose="what the data path tells"),
    # -- what processes are made of
    "proxy.settings": Room("proxy.addresses state.server", WAITING, "each setting once"),
    "proxy.identity": Room(
        "proxy.ipc.snapshot proxy.mesh.model proxy.mesh.traffic proxy.wire.tls", purpose="who we are"
    ),
    "proxy.identity.istiod": Room(
        "proxy.addresses proxy.settings proxy.wire.tls proxy.identity", purpose="certificates that istiod signs"
    ),
    "proxy.ipc": Room("", purpose="what processes say to each other"),
    # -- a request from accept to log line
    "proxy.relay.context": Room(
        "proxy.clock proxy.scoreboard proxy.wire proxy.wire.http proxy.wire.http2 proxy.wire.tls proxy.observe",
        purpose="what all exchanges of a worker share",
    ),
    "proxy.relay.routing": Room(
        "proxy.policy proxy.ipc.routing proxy.wire.http", PURE, "what routes do with a request"
    ),
    "proxy.relay.endpoints": Room(
        "proxy.clock proxy.policy proxy.policy.tokens proxy.scoreboard proxy.wire proxy.wire.http proxy.wire.http2"
        " proxy.wire.tls proxy.observe proxy.relay.context proxy.relay.routing",
        purpose="which endpoint, and how it is reached",
    ),
    "proxy.relay.routes": Room("proxy.ipc.snapshot proxy.relay.endpoints", purpose="where a listener's requests go"),
    "proxy.relay.exchange": Room(
        "proxy.clock proxy.policy proxy.scoreboard proxy.wire proxy.wire.http proxy.wire.tls proxy.observe"
        " proxy.relay.context proxy.relay.routing proxy.relay.endpoints proxy.relay.routes",
        purpose="one request and its answer",
    ),
    "proxy.relay": Room(
        "proxy.wire proxy.wire.http proxy.wire.http2 proxy.wire.tls proxy.observe proxy.ipc.snapshot"
        " proxy.relay.context proxy.relay.endpoints proxy.relay.routes proxy.relay.exchange",
        purpose="connections, and who serves them",
    ),
    "proxy.fleet": Room(
        "state proxy.addresses proxy.policy proxy.ipc.snapshot proxy.scoreboard proxy.observe",
        purpose="the data path's door to the store",
    ),
    "proxy.admin": Room(
        "proxy.addresses proxy.policy proxy.ipc.snapshot proxy.scoreboard proxy.observe proxy.fleet",
        purpose="what the controller shows and pushes",
    ),
    # -- the processes
    "proxy.worker": Room(
        "proxy.log proxy.policy.tokens"
        " proxy.ipc proxy.ipc.snapshot proxy.settings proxy.scoreboard proxy.wire proxy.wire.tls proxy.observe"
        " proxy.relay.context proxy.relay.routes proxy.relay proxy.fleet",
        purpose="the process that serves",
    ),
    "proxy.controller": Room(
        "proxy.version proxy.addresses proxy.log proxy.policy.tokens proxy.ipc proxy.ipc.routing proxy.ipc.snapshot"
        " proxy.settings"
        " proxy.scoreboard proxy.identity proxy.identity.istiod"
        " proxy.mesh.model proxy.mesh.traffic proxy.mesh.kinds proxy.mesh.resolving proxy.mesh.sources"
        " proxy.kubernetes.api proxy.kubernetes.source"
        " proxy.observe proxy.fleet proxy.admin",
        purpose="the process that knows",
    ),
    "proxy.arbiter": Room(
        "proxy.version proxy.addresses proxy.ipc proxy.settings proxy.scoreboard state.server",
        WAITING,
        "the first process",
    ),
    "proxy.demo": Room("proxy.addresses proxy.log proxy.identity proxy.arbiter", WAITING, "--demo"),
    # -- what people type
    "proxy.ctl": Room(
        "proxy.settings proxy.identity state.errors state.server state.operating",
        WAITING,
        "waypointctl's commands",
    ),
    "proxy.ctl.hbone": Room(
        "proxy.ctl proxy.addresses proxy.settings proxy.identity proxy.identity.istiod proxy.wire.tls",
        WAITING,
        "hbone-get",
    ),
    "proxy.ctl.cli": Room("proxy.ctl proxy.ctl.hbone proxy.version state.server", WAITING, "waypointctl"),
    "proxy.cli": Room(
        "proxy.version proxy.log proxy.settings proxy.identity proxy.identity.istiod proxy.mesh.model"
        " proxy.mesh.resolving"
        " proxy.mesh.sources proxy.kubernetes.api proxy.kubernetes.source proxy.arbiter proxy.demo state.server",
        WAITING,
        "waypointd",
    ),
}


def inside(module: str, package: str) -> bool:
    """Is `module` the package, or in it?"""
    return module == package or module.startswith(f"{package}.")


def room_of(module: str) -> str | None:
    """The row a module belongs to."""
    return max((room for room in ROOMS if inside(module, room)), key=len, default=None)


def allowed(room: str) -> set[str]:
    """The rooms that a room may import, itself among them."""
    named = ROOMS[room].imports.split()
    store = {each for each in ROOMS if inside(each, "state")} if "state" in named else set()
    return {room, *named} - {"state"} | store


def floors() -> list[list[str]]:
    """Rooms by floor: each stands one above the highest that it imports."""
    floor: dict[str, int] = {}
    for room in ROOMS:
        floor[room] = 1 + max((floor[each] for each in allowed(room) - {room}), default=-1)
    return [[room for room in ROOMS if floor[room] == level] for level in range(max(floor.values()) + 1)]


def drawing() -> str:
    """The house from the top floor down, a line a room."""
    lines = []
    for level, rooms in reversed(list(enumerate(floors()))):
        for room in rooms:
            below = ROOMS[room].imports.replace("proxy.", "")
            lines.append(f"{level}  {room.removeprefix('proxy.'):16} {below or '-'}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(drawing())
