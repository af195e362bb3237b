"""The first process of a replica: starts the others, keeps them running, passes signals and sockets on, ends last.

It serves no request, parses no manifest and never imports gevent, so that there is little in it to fail. Listening
sockets, the scoreboard, the hand-over sockets and the last snapshot live here: whoever else dies finds them again.
Messages: `proxy.ipc.channel`.
"""

import logging
import os
import resource
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

from proxy.arbiter import listening
from proxy.arbiter.children import Child, Process, of_leaving
from proxy.arbiter.control import Control
from proxy.arbiter.departure import Departure, Stage
from proxy.arbiter.forking import fork, prepare
from proxy.arbiter.handover import HandOver
from proxy.arbiter.hints import redis_cli
from proxy.arbiter.signals import DEADLY, SignalQueue, ignore_faults, ignore_internal, name
from proxy.ipc.channel import Channel, Message
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import MAX_WORKERS, READY
from proxy.settings.settings import Settings
from proxy.version import __version__
from state.server.embedded import Embedded, EmbeddedError

log = logging.getLogger("arbiter")

HANDLED = DEADLY | {signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD}


class Worker(Child):
    """A worker process and the controller's end of its channel, kept here so that it outlives a controller."""

    def __init__(self, slot: int, start: Callable[["Worker"], Process]) -> None:
        super().__init__(f"worker {slot}", lambda: start(self))
        self.slot = slot
        self.channel: Channel | None = None
        self.leaving = False


class Arbiter:
    """Runs one replica until it is told to stop. The module names are arguments for the sake of tests."""

    def __init__(
        self,
        settings: Settings,
        companions: Sequence[Child] = (),
        announce: Callable[[str], None] = lambda redis: None,
        controller_module: str = "proxy.controller",
        worker_module: str = "proxy.worker",
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._modules = (controller_module, worker_module)
        self._replica = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
        self._redis = settings.redis
        self._started = time.monotonic()
        self._scoreboard = Scoreboard.create()
        self._handover = HandOver(min(max(2 * settings.workers, 16), MAX_WORKERS))
        self._sockets: dict[str, socket.socket] = {}
        self._kept: int | None = None  # what the controller keeps for the next one: the snapshot in force
        self._loaded = False
        self._controller = Child("controller", self._spawn_controller)
        self._selector = selectors.DefaultSelector()
        self._control = Control(self._controller, self._selector)
        self._workers: dict[int, Worker] = {}
        self._companions = list(companions)
        self._store: Embedded | None = None
        self._status: int | None = None  # the exit status, once the end is decided
        self._departure = Departure()

    # -- life -------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; the exit status."""
        signals = SignalQueue(HANDLED)
        ignore_faults()
        ignore_internal()
        self._selector.register(signals, selectors.EVENT_READ)
        raise_open_files_limit()
        log.info("waypointd %s starting: replica %s, %d workers", __version__, self._replica, self._settings.workers)
        prepare()
        try:
            self._start()
            while self._status is None:
                self._selector.select(self._patience())
                for number in signals.take():
                    self._on_signal(number)
                for message, fds in self._control.hear():
                    self._on_message(message, fds)
                self._keep_running()
        finally:
            self._end()
        return self._status or 0

    def _start(self) -> None:
        if self._settings.redis == "embedded":
            store = Child("store", self._start_store)
            self._companions.append(store)
            if fault := store.start(time.monotonic()):
                log.error("%s", fault.partition("; trying again")[0])
                self._status = 1
                return
        for child in (*self._companions, self._controller):
            if child.process is None:
                self._start_child(child)
        for _ in range(self._settings.workers):
            self._add_worker()

    def _patience(self) -> float | None:
        """How long nothing is due; None for ever."""
        times = [at for child in self._children() for at in (child.due, child.kill_at) if at is not None]
        if self._departure.drain_at is not None:
            times.append(self._departure.drain_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _children(self) -> Iterator[Child]:
        yield from self._companions
        yield self._controller
        yield from self._workers.values()

    @property
    def _draining(self) -> bool:
        return self._departure.stage is Stage.DRAINING

    def _keep_running(self) -> None:
        now = time.monotonic()
        if self._departure.due(now):
            self._drain(now)
        for child in list(self._children()):
            if child.kill_if_late(now):
                log.warning("%s did not finish within --drain-time %g s: killed", child.name, self._settings.drain_time)
            if told := child.reap(now):
                self._on_death(child, told)
            if child.due is not None and now >= child.due:
                self._start_child(child)
        if self._draining and not any(worker.process for worker in self._workers.values()):
            log.info("drained")
            self._status = 0

    def _on_death(self, child: Child, told: str) -> None:
        wanted = not self._draining and not (isinstance(child, Worker) and child.leaving)
        if wanted:
            log.error("%s", told)
        else:
            child.due = None
            log.log(*of_leaving(told))
        if isinstance(child, Worker):
            self._bury(child, wanted)
        elif child is self._controller:
            self._control.close()

    def _start_child(self, child: Child) -> None:
        if fault := child.start(time.monotonic()):
            log.error("%s", fault)
        elif child.starts > 1:
            log.info("%s runs again: pid %d", child.name, child.pid)

    def _end(self) -> None:
        """Nothing may remain: stop the controller, then whatever is left."""
        self._close_listeners()
        self._handover.close()
        self._controller.signal(signal.SIGTERM)
        for child in self._children():
            if child is not self._controller:
                child.kill()
        for child in self._children():
            if child.process:
                try:
                    child.process.wait(2)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
        if self._store:
            self._store.stop()

    # -- signals ----------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._depart(number)
            case signal.SIGHUP:
                self._reload()
            case signal.SIGUSR1:
                self._reopen_logs()
            case signal.SIGTTIN | signal.SIGTTOU:
                (self._add_worker if number == signal.SIGTTIN else self._remove_worker)()
                self._tell_wanted(number)
            case signal.SIGUSR2:
                log.warning("SIGUSR2: replacing the running program is not built in this version")
            case signal.SIGCHLD:  # the loop reaps on every turn
                pass
            case _:
                log.warning("%s ignored: TERM drains and ends, HUP reloads, USR1 reopens the access log", name(number))

    def _depart(self, number: int) -> None:
        """INT is somebody at a terminal, who does not wait; nor need anybody who never had a listener open."""
        first, patience = self._departure.stage is Stage.SERVING, self._settings.drain_time
        delay = self._settings.drain_delay if self._sockets and number != signal.SIGINT else 0.0
        self._departure.told(time.monotonic(), delay)
        if self._departure.stage is Stage.ENDED:
            log.warning("%s again: ending at once", name(number))
            self._status = 0
        elif first:
            plan = f"not ready, serving on for {delay:g} s, then " if delay else ""
            log.info("%s: %sdraining, %g s at most (once more to end at once)", name(number), plan, patience)
            self._scoreboard.depart(number == signal.SIGINT)

    def _drain(self, now: float) -> None:
        """No new connections; workers finish what they have, and go."""
        self._control.tell({"op": "drain"})
        for worker in self._workers.values():
            worker.due = None
            worker.leave(now, self._settings.drain_time)
        self._close_listeners()

    def _reload(self) -> None:
        log.info("SIGHUP: reloading, reopening logs")
        self._control.tell({"op": "reload"})
        self._tell_workers_to_reopen()

    def _reopen_logs(self) -> None:
        log.info("SIGUSR1: reopening logs")
        self._tell_workers_to_reopen()

    def _tell_workers_to_reopen(self) -> None:
        for worker in self._workers.values():
            worker.signal(signal.SIGHUP)

    # -- workers ----------------------------------------------------------------------------------------------------

    def _add_worker(self) -> None:
        free = next((slot for slot in range(self._handover.slots) if slot not in self._workers), None)
        if free is None or self._draining:
            log.warning(
                "no further worker: %s", "draining" if self._draining else f"{self._handover.slots} is the most"
            )
            return
        worker = self._workers[free] = Worker(free, self._spawn_worker)
        self._start_child(worker)

    def _remove_worker(self) -> None:
        staying = [worker for worker in self._workers.values() if not worker.leaving]
        if len(staying) < 2 or self._draining:
            log.warning("SIGTTOU: not stopping the last worker")
            return
        worker = max(staying, key=lambda each: each.slot)
        worker.leaving = True
        worker.leave(time.monotonic(), self._settings.drain_time)
        if worker.process is None:
            del self._workers[worker.slot]

    def _spawn_worker(self, worker: Worker) -> Process:
        ours, theirs = Channel.pair()
        incoming, outgoing = self._handover.descriptors(worker.slot)
        arguments = ["--slot", str(worker.slot), "--channel", str(theirs.fileno())]
        arguments += ["--scoreboard", str(self._scoreboard.fd), "--handover-in", str(incoming)]
        arguments += ["--handover-out", ",".join(f"{slot}:{fd}" for slot, fd in outgoing.items())]
        fds = (theirs.fileno(), self._scoreboard.fd, incoming, *outgoing.values())
        try:
            process = fork(self._modules[1], arguments, fds, f"waypointd: {worker.name}")
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._scoreboard.workers.start(worker.slot, process.pid)
        ours.send(self._first_message())  # the worker waits for it, so its row is ready before it looks
        worker.channel = ours
        self._control.tell({"op": "worker", "slot": worker.slot}, [ours.fileno()])
        return process

    def _bury(self, worker: Worker, wanted: bool) -> None:
        """Give back what a dead worker held; connections queued for it go to one that lives."""
        self._scoreboard.workers.reap(worker.slot)
        if worker.channel:
            worker.channel.close()
            worker.channel = None
        self._control.tell({"op": "worker-gone", "slot": worker.slot})
        if not wanted:
            del self._workers[worker.slot]
        ready = [row.slot for row in self._scoreboard.workers.rows() if row.state == READY]
        self._handover.pass_on(worker.slot, ready)

    # -- the controller ---------------------------------------------------------------------------------------------

    def _spawn_controller(self) -> Process:
        ours, theirs = Channel.pair()
        arguments = ["--channel", str(theirs.fileno()), "--scoreboard", str(self._scoreboard.fd)]
        try:
            process = fork(
                *(self._modules[0], arguments + ["--restarted"] * self._loaded),
                *((theirs.fileno(), self._scoreboard.fd), "waypointd: controller"),
            )
        finally:
            theirs.close()
        self._control.open(ours)
        self._brief_controller()
        return process

    def _brief_controller(self) -> None:
        """Tell a new controller all it has to know: what is in force, what is open, who is there."""
        self._control.tell(self._first_message())
        self._tell_wanted()
        if self._kept is not None:
            self._control.tell({"op": "kept"}, [self._kept])
        for address, sock in self._sockets.items():
            self._control.tell({"op": "bound", "address": address, "error": ""}, [sock.fileno()])
        for worker in self._workers.values():
            if worker.channel:
                self._control.tell({"op": "worker", "slot": worker.slot}, [worker.channel.fileno()])

    def _tell_wanted(self, told_by: int | None = None) -> None:
        staying = sum(not worker.leaving for worker in self._workers.values())
        if told_by is not None:
            log.info("%s: workers from now on: %d", name(told_by), staying)
        self._control.tell({"op": "wanted", "workers": max(staying, 1) if self._workers else self._settings.workers})

    def _first_message(self) -> Message:
        return {
            "op": "settings",
            "settings": self._settings.as_message(),
            "replica": self._replica,
            "redis": self._redis,
            "arbiter_pid": os.getpid(),
            "started": self._started,
        }

    def _on_message(self, message: Message, fds: list[int]) -> None:
        match message["op"]:
            case "bind":
                self._bind(message["address"])
            case "unbind":
                if sock := self._sockets.pop(message["address"], None):
                    sock.close()
            case "keep":
                if self._kept is not None:
                    os.close(self._kept)
                self._kept = fds.pop()
            case "loaded":
                self._loaded = True
            case "ready":
                self._announce(self._redis)
                self._announce = lambda redis: None
            case "refused":
                self._status = 1
            case unknown:
                log.error("the controller says %r, which means nothing here", unknown)
        for fd in fds:
            os.close(fd)

    def _bind(self, address: str) -> None:
        if self._draining:
            return
        try:
            if address not in self._sockets:
                self._sockets[address] = listening.listen(address)
        except (OSError, ValueError) as fault:
            reason = listening.explain(fault) if isinstance(fault, OSError) else str(fault)
            self._control.tell({"op": "bound", "address": address, "error": reason})
            return
        self._control.tell({"op": "bound", "address": address, "error": ""}, [self._sockets[address].fileno()])

    def _close_listeners(self) -> None:
        """Our copies: the kernel refuses connections once the workers have closed theirs too."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    # -- the embedded store -----------------------------------------------------------------------------------------

    def _start_store(self) -> Process:
        """Start the private store; again on the port it had, which the workers know."""
        try:
            if self._store:
                self._store = Embedded.start(self._store.port, insist=True)
            else:
                self._store = Embedded.start()
                self._redis = self._store.url
                hint = redis_cli(self._redis, self._settings.keys_prefix)
                log.info("embedded Valkey on port %d; look into it with: %s", self._store.port, hint)
        except EmbeddedError as fault:
            raise RuntimeError(str(fault)) from fault
        return self._store.process


def raise_open_files_limit() -> None:
    """Two descriptors a request add up: take what the system allows. Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
