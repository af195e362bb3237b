"""One process of a replica alone: the test plays all the others, over the channel and the scoreboard."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.arbiter.handover import HandOver
from proxy.ipc.channel import Channel, Message, write_body
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.settings.settings import load
from tests.rig import ROOT, free_port, wait_until


@dataclass
class Alone:
    """The process, as its arbiter and controller know it."""

    channel: Channel
    board: Scoreboard
    log: Path
    access_log: Path

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def hear(self) -> tuple[Message, list[int]]:
        received = self.channel.receive()
        assert received is not None
        return received

    def send_snapshot(self, number: int, packed: bytes, sockets: dict[str, int] | None = None) -> None:
        """As the controller does; `sockets` are descriptors by address."""
        given, fd = sockets or {}, write_body(packed)
        self.channel.send({"op": "snapshot", "number": number, "sockets": list(given)}, [fd, *given.values()])
        os.close(fd)

    def apply(self, number: int, packed: bytes, sockets: dict[str, int] | None = None) -> None:
        """And the worker has taken it."""
        self.send_snapshot(number, packed, sockets)
        wait_until(lambda: self.board.workers.row(0).snapshot == number, 10, f"snapshot {number}")


@contextmanager
def controller_alone(tmp_path: Path) -> Iterator[Alone]:
    """The one after another, with the manifests in `tmp_path`."""
    with _started(tmp_path, "proxy.controller", ["--restarted"]) as made:
        yield made


@contextmanager
def worker_alone(tmp_path: Path) -> Iterator[Alone]:
    """In slot 0, without a snapshot."""
    handover = HandOver(1)
    incoming, _ = handover.descriptors(0)
    arguments = ["--slot", "0", "--handover-in", str(incoming)]
    with _started(tmp_path, "proxy.worker", arguments, (incoming,)) as made:
        yield made
    handover.close()


@contextmanager
def _started(tmp_path: Path, module: str, more: Sequence[str], fds: Sequence[int] = ()) -> Iterator[Alone]:
    with ExitStack() as stack:
        board, (ours, theirs) = Scoreboard.create(), Channel.pair()
        stack.callback(ours.close)
        log = stack.enter_context((tmp_path / "log").open("w"))
        arguments = ["--channel", str(theirs.fileno()), "--scoreboard", str(board.fd), *more]
        command = [sys.executable, "-m", module, *arguments]
        inherited = (theirs.fileno(), board.fd, *fds)
        process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stderr=log, pass_fds=inherited))
        stack.callback(process.kill)
        theirs.close()
        board.workers.start(0, process.pid)
        ours.send(_first_message(tmp_path))
        yield Alone(ours, board, tmp_path / "log", tmp_path / "access")


def _first_message(manifests: Path) -> Message:
    flags: dict[str, Any] = {
        "manifests": (str(manifests),),
        "bind": "127.0.0.1",
        "access_log": str(manifests / "access"),
    }
    flags |= {name: f"127.0.0.1:{free_port()}" for name in ("status", "admin")}
    return {
        "op": "settings",
        "settings": load(flags, {}, None).as_message(),
        "replica": "a",
        "redis": "redis://127.0.0.1:1",
        "arbiter_pid": os.getpid(),
        "started": 0.0,
    }
