"""One tree's figures, as JSON: a controller's part and a worker's in one process, over a real scoreboard and channel.

Runs over the packages of whichever tree is first on the path, so that the commit before can be measured in the same
run. The worker takes each snapshot as in production; its listeners are open, nothing is connected, its fleet rests.
"""

import argparse
import gc
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(1, str(Path(__file__).parent))

import mesh as meshes  # type: ignore[import-not-found]  # beside this file, which is run as a script

BEFORE = "proxy.snapshots"


def load(name: str, before: str) -> Any:
    """A module by its name now, or by the one it had before there were rooms."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return import_module(before)


channel = load("proxy.ipc.channel", "proxy.channel")
snapshots = load("proxy.controller.snapshots", BEFORE)
settings = load("proxy.settings.settings", "proxy.settings")
worker = load("proxy.worker.worker", "proxy.worker")
scoreboard = load("proxy.scoreboard.scoreboard", "proxy.scoreboard.scoreboard")
ready = load("proxy.scoreboard.workers", "proxy.scoreboard.workers").READY


class Side:
    """The controller's side: what is the same in all trees is in here, what is not in `update` and `keep`."""

    def __init__(self, board: Any, addresses: dict[str, str]) -> None:
        self.snapshots = snapshots.Snapshots(board)
        self._addresses = addresses
        self._listeners = meshes.Listeners()
        self._keeping: Any = None
        self.said: list[int] = []
        if hasattr(snapshots, "listener_wire"):
            self.update, self.keep = self._update_before, self._keep_before
        else:
            keeping = import_module("proxy.controller.keeping")
            self._keeping = keeping.Keeping(self.snapshots, lambda message, fds: None)
            self.update, self.keep = self._update, self._keeping.keep

    def prepare(self, mesh: Any) -> Any:
        """What resolving hands over, not measured."""
        return {self._addresses[protocol]: each for protocol, each in self._listeners.of(mesh).items()}, mesh.clusters

    def _update(self, listeners: Any, clusters: Any) -> None:
        self.snapshots.update(listeners, clusters, time.monotonic())

    def _update_before(self, listeners: Any, clusters: Any) -> None:
        wire = [snapshots.listener_wire(each, address) for address, each in listeners.items()]
        self.snapshots.update(wire, clusters.values(), time.monotonic())

    def _keep_before(self) -> None:
        os.close(channel.write_body(self.snapshots.body(0)))


def measured(run: Callable[[], object]) -> float:
    """Milliseconds of CPU."""
    began = time.process_time_ns()
    run()
    return (time.process_time_ns() - began) / 1e6


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, required=True)
    parser.add_argument("--endpoints", type=int, required=True)
    parser.add_argument("--changes", type=int, required=True)
    options = parser.parse_args()
    logging.disable()
    print(json.dumps(figures(options)))


def figures(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Medians, by kind of change."""
    board = scoreboard.Scoreboard.create()
    board.workers.start(0, os.getpid())
    board.workers.set_state(0, ready)
    sockets = {protocol: socket.create_server(("127.0.0.1", 0)) for protocol in ("HTTP", "HBONE")}
    addresses = {protocol: f"127.0.0.1:{each.getsockname()[1]}" for protocol, each in sockets.items()}
    side = Side(board, addresses)
    serving = a_worker(board)
    mesh = meshes.mesh_of(options)
    given = side.prepare(mesh)
    found = {"start": {"update_ms": measured(lambda: side.update(*given)), "keep_ms": measured(side.keep)}}
    body = side.snapshots.body(0)
    fds = [channel.write_body(body), *(os.dup(each.fileno()) for each in sockets.values())]
    message = {"op": "snapshot", "number": 1, "sockets": list(addresses.values())}
    found["start"] |= {"bytes": len(body), "worker_ms": measured(lambda: serving._take_snapshot(message, fds))}
    for kind in ("endpoint", "service"):
        gc.collect()
        gc.freeze()
        turns = [a_turn(side, serving, each) for each in meshes.changes(mesh, kind, options)]
        found[kind] = {name: median(turn[name] for turn in turns) for name in turns[0]}
        a_turn(side, serving, mesh)
    return found


def a_worker(board: Any) -> Any:
    """A worker that takes snapshots, and is not run."""
    chosen = settings.load({"manifests": ("/nowhere",), "access_log": "/dev/null"}, {}, None)
    handed = import_module(worker.Handed.__module__)
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    briefing = {"settings": chosen.as_message(), "replica": "bench", "redis": "redis://127.0.0.1:1"}
    return worker.Worker(board, 0, None, handed.Handed(board, 0, ours.detach(), {}), briefing)


def a_turn(side: Side, serving: Any, mesh: Any) -> dict[str, float]:
    """One change from the model to the worker."""
    given, since = side.prepare(mesh), side.snapshots.number
    update, keep = measured(lambda: side.update(*given)), measured(side.keep)
    body = side.snapshots.body(since)
    number = side.snapshots.number
    assert number == since + 1
    message = {"op": "snapshot", "number": number, "sockets": []}
    body_ms = measured(lambda: side.snapshots.body(since))
    fd = channel.write_body(body)
    took = measured(lambda: serving._take_snapshot(message, [fd]))
    settle = measured(lambda: side.snapshots.settle(time.monotonic()))
    return {
        "bytes": len(body) + 64,
        "worker_ms": took,
        "update_ms": update,
        "body_ms": body_ms,
        "keep_ms": keep,
        "settle_ms": settle,
    }


if __name__ == "__main__":
    main()
