"""A worker process: listeners, the data path, and this worker's part of the fleet's state.

Started by the arbiter (`python -m proxy.worker`), fed with snapshots by the controller, told by signals to drain (TERM)
and to reopen its log (HUP). It needs neither of them to go on serving what it has.
"""

import gc
import logging
import os
import signal
import ssl
import sys
import time
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

from proxy import log as process_log
from proxy.fleet import wiring
from proxy.ipc.channel import Channel, Message, read_body
from proxy.ipc.snapshot import CredentialForm, ListenerForm, OtherVersion, TerminationForm, TlsForm, unpack
from proxy.observe import outlier_log
from proxy.observe.access_log import AccessLog
from proxy.relay.context.context import Context
from proxy.relay.context.tallies import Tallies
from proxy.relay.context.timeouts import Timeouts
from proxy.relay.hbone import HboneListener
from proxy.relay.https import HttpsListener
from proxy.relay.relay import Listener, Relay
from proxy.relay.routes import Routes
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import DRAINING, READY, STARTING
from proxy.settings.mesh_id import told_by_istio
from proxy.settings.settings import Settings
from proxy.wire.buffers import keep_freed
from proxy.wire.tls.contexts import TlsContext, context_of
from proxy.wire.tls.mesh import MeshTls
from proxy.wire.tls.serving import ServingContext, ServingNames
from proxy.worker.handed import Handed

if TYPE_CHECKING:
    from proxy.policy.tokens.keys import Keys

log = logging.getLogger("worker")

# Listeners open when the fleet's ejections are known, and without them after this time.
RECONCILE_SECONDS = 0.25
# The same of its shares of limits that the fleet keeps together, while Redis is there.
SHARES_SECONDS = 5.0
# How often time limits are looked at.
TICK_SECONDS = 0.25
# A draining worker still serves for so long what it accepted last: the first request may be on its way.
FIRST_REQUEST_SECONDS = 0.25
# The part of --drain-time for which connections between two requests are kept: whoever asks meanwhile is answered, and
# told that it was the last time. A FIN may meet a request that is on its way.
SILENT_PART = 0.75
# How long to wait for descriptors when a snapshot was lost for want of them.
LOST_SECONDS = 1.0
# A pooled connection that is not used for so long is closed (Envoy's idle_timeout).
ENDPOINT_IDLE_SECONDS = 3600.0

HBONE = "HBONE"  # a listener's protocol
_KINDS = {"HTTP": Listener, "HTTPS": HttpsListener, HBONE: HboneListener}


class Worker:
    """One worker. Everything here happens between events; only greenlets of connections wait."""

    def __init__(self, board: Scoreboard, slot: int, channel: Channel, handed: Handed, message: Message) -> None:
        settings = Settings.from_message(message["settings"])
        self._board = board
        self._slot = slot
        self._channel = channel
        self._handed = handed
        self._access_log = AccessLog(settings.access_log, settings.access_log_format)
        line = outlier_log.json_line if settings.access_log_format == "json" else outlier_log.text_line
        self._fleet = wiring.fleet(
            board,
            slot,
            message["replica"],
            settings.mesh_id or told_by_istio(os.environ) or "",
            settings.access(message["redis"]),
            settings.keys_prefix,
            lambda event: self._access_log.line(line(event, outlier_log.stamp())),
        )
        timeouts = Timeouts(
            idle_timeout=settings.idle_timeout,
            request_headers_timeout=settings.request_headers_timeout,
            stream_idle_timeout=settings.stream_idle_timeout,
            protocol_detection_timeout=settings.protocol_detection_timeout,
            endpoint_idle_timeout=ENDPOINT_IDLE_SECONDS,
        )
        self._context = Context(board, slot, self._access_log, self._fleet, timeouts)
        self._context.tunnels = settings.in_mesh
        self._context.nudge = handed.nudge
        self._context.normalize_paths(settings.path_normalization)
        if settings.metrics:
            self._context.tallies = Tallies(board, slot, settings.cluster_id, settings.trust_domain or "")
        self._relay = Relay(self._context)
        self._listeners: dict[str, Listener] = {}
        self._sockets: dict[str, int] = {}
        self._routes: dict[str, Routes] = {}
        self._tls: TlsForm | None = None
        self._credentials: dict[str, tuple[CredentialForm, _Made]] = {}
        self._keys: dict[str, tuple[str, Keys]] = {}
        self._draining = Event()
        self._silent_seconds = settings.drain_time * SILENT_PART

    def run(self) -> None:
        """Serves until drained."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._draining.set)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            gevent.signal_handler(number, self._reopen)
        ticker = gevent.get_hub().loop.timer(self._fleet.desk.loop.together(TICK_SECONDS), TICK_SECONDS)
        ticker.start(self._relay.tick)  # in the hub: it resumes greenlets, and must not be left behind by them
        gevent.spawn(self._hear)
        self._draining.wait()
        self._drain()

    def _reopen(self) -> None:
        try:
            self._access_log.reopen()
        except OSError as error:
            log.error("access log: %s; the old file stays open", error)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """Takes snapshots from the controller for as long as there is an arbiter."""
        while True:
            try:
                received = self._channel.receive()
            except (OSError, ValueError) as error:  # out of descriptors: what is not acknowledged is sent again
                log.error("a snapshot was lost: %s", error)
                gevent.sleep(LOST_SECONDS)
                continue
            if received is None:
                return
            message, fds = received
            try:
                self._take_snapshot(message, fds)
            except OtherVersion as fault:
                log.error("snapshot %s cannot be applied: %s", message.get("number"), fault)
            except Exception:  # it is not acknowledged, so readiness tells; serving what was there goes on
                log.exception("snapshot %s cannot be applied", message.get("number"))

    def _take_snapshot(self, message: Message, fds: list[int]) -> None:
        body_fd, *sockets = fds
        for address, fd in zip(message["sockets"], sockets, strict=True):
            self._replace_socket(address, fd)
        try:
            news = unpack(read_body(body_fd))
        finally:
            os.close(body_fd)
        if "keys" in news:
            self._read_keys(news["keys"])
        if "tls" in news:
            self._take_certificates(news["tls"])
        if "credentials" in news:
            self._take_credentials(news["credentials"])
        if "keys" in news:
            self._relay.verify({name: keys for name, (_, keys) in self._keys.items()})
        self._relay.apply(news["full"], news["clusters"], news["removed"])
        self._fleet.apply(news["full"], news["clusters"], news["removed"])
        self._prepare_listeners(news["listeners"])
        first = self._board.workers.row(self._slot).state == STARTING
        if first:
            self._fleet.start()
            self._await_reconcile()
        if not self._draining.is_set():
            for listener in self._listeners.values():
                listener.start()
            if first:
                self._board.workers.set_state(self._slot, READY)
                self._handed.start(self._take, self._relay.make_room)
        self._board.workers.set_snapshot(self._slot, message["number"])

    def _take_certificates(self, tls: TlsForm | None) -> None:
        """New connections use them from now on; those there are keep what they began with."""
        if tls != self._tls:
            self._context.mesh = MeshTls(**tls) if tls else None
            self._tls = tls
            if tls:
                self._relay.trust(tls["trust_domains"][0])

    def _take_credentials(self, forms: dict[str, CredentialForm]) -> None:
        """For TLS to endpoints and of clients. What has not changed stays the same, as do connections made with it."""
        known = self._credentials
        self._credentials = {
            name: known[name] if name in known and known[name][0] == form else (form, _made_of(form))
            for name, form in forms.items()
        }
        made = ((name, context) for name, (_, context) in self._credentials.items())
        self._relay.originate({name: each for name, each in made if not isinstance(each, ServingContext)})

    def _read_keys(self, sets: dict[str, str]) -> None:
        """For requests' tokens. In a thread: what reads them takes a while to load, the first time."""
        known = {name: each for name, each in self._keys.items() if sets.get(name) == each[0]}
        fresh = {name: text for name, text in sets.items() if name not in known}
        read = gevent.get_hub().threadpool.apply(_keys_of, (fresh,)) if any(fresh.values()) else {}
        self._keys = known | {name: (text, read.get(name, ())) for name, text in fresh.items()}

    def _await_reconcile(self) -> None:
        with gevent.Timeout(RECONCILE_SECONDS, False):
            while not self._board.reconciled:
                gevent.sleep(0.005)
        with gevent.Timeout(SHARES_SECONDS, False):
            while not self._fleet.settled:
                gevent.sleep(0.005)

    def _replace_socket(self, address: str, fd: int) -> None:
        if self._draining.is_set():
            os.close(fd)
            return
        if address in self._listeners:  # those that it has accepted are served on
            self._listeners.pop(address).stop()
        self._close_socket(address)
        self._sockets[address] = fd

    def _prepare_listeners(self, wanted: list[ListenerForm]) -> None:
        """Listeners as the snapshot has them; new ones do not accept yet."""
        for address in (self._routes.keys() | self._sockets.keys()) - {form["address"] for form in wanted}:
            self._routes.pop(address, None)
            self._stop_listener(address)
            self._close_socket(address)
        for form in wanted:
            address, kind = form["address"], _KINDS[form["protocol"]]
            routes = self._relay.routes(kind is HboneListener) if form["full"] else self._routes[address]
            routes.apply(form["services"], form["removed"])
            self._routes[address] = routes
            listener = self._listeners.get(address)
            if listener is not None and type(listener) is not kind:
                self._stop_listener(address)
            if address in self._listeners or address in self._sockets:  # else the controller says why it is not bound
                listener = self._listener(address, form["name"], kind)
                listener.lead(routes)
                if isinstance(listener, HttpsListener):
                    listener.secure(self._serving(form.get("tls", [])))

    def _serving(self, terminations: list[TerminationForm]) -> ServingNames:
        """What the clients of a port's listeners are shown, as far as there is something that can be."""
        made = {
            each["hostname"]: [self._credentials[name][1] for name in each["credentials"] if name in self._credentials]
            for each in terminations
        }
        return ServingNames(
            {name: [each for each in found if isinstance(each, ServingContext)] for name, found in made.items()}
        )

    def _listener(self, address: str, name: str, kind: type[Listener]) -> Listener:
        if address not in self._listeners:
            self._listeners[address] = kind(self._relay, name, address, self._sockets[address], self._handed.give)
        return self._listeners[address]

    def _stop_listener(self, address: str) -> None:
        listener = self._listeners.pop(address, None)
        if listener is not None:
            listener.stop()
            listener.lead(Routes())  # what is open on it is told 404 from now on

    def _close_socket(self, address: str) -> None:
        fd = self._sockets.pop(address, None)
        if fd is not None:
            os.close(fd)

    # -- connections from other workers -------------------------------------------------------------------------------

    def _take(self, address: str, fd: int) -> None:
        listener = self._listeners.get(address)
        if listener is None:
            os.close(fd)
            self._board.workers.add_connections(self._slot, -1)
        else:
            listener.take(fd)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """No new connections; the ones there are finish what they are doing, and are told with their next answer."""
        silent_until = time.monotonic() + self._silent_seconds
        self._board.workers.set_state(self._slot, DRAINING)
        for address, listener in self._listeners.items():
            listener.stop()  # but not forgotten: what was handed to us before we said DRAINING is still served
            self._close_socket(address)
        if self._listeners:  # without a snapshot there is no way to serve them: the arbiter passes them on
            self._handed.take_waiting(self._take)
        self._fleet.stop_leading()
        self._context.drain.begin()
        self._await_connections(FIRST_REQUEST_SECONDS)
        while self._board.workers.row(self._slot).connections > 0:
            self._context.drain.refuse_streams()  # those too that were still shaking hands a moment ago
            if self._board.in_haste or time.monotonic() > silent_until:
                self._end_silent()
            gevent.sleep(0.02)
        self._access_log.flush()

    def _end_silent(self) -> None:
        self._context.drain.ending = True
        gevent.get_hub().loop.run_callback(self._context.timeouts.end_idle)

    def _await_connections(self, seconds: float) -> None:
        with gevent.Timeout(seconds, False):
            while self._board.workers.row(self._slot).connections > 0:
                gevent.sleep(0.02)


_Made = TlsContext | str
"""Of credentials; text is why there is nothing."""


def _made_of(form: CredentialForm) -> _Made:
    """What can be made of credentials, or why that is nothing: the controller has tried, on the same machine."""
    if form["problem"]:
        return form["problem"]
    try:
        return context_of(form["serving"], form["chain"], form["key"], form["roots"], form["crl"], form["verifies"])
    except ssl.SSLError as fault:
        log.error("credentials for TLS cannot be used: %s", fault)
        return f"its credentials cannot be used: {fault}"


def _keys_of(sets: dict[str, str]) -> "dict[str, Keys]":
    """Those of sets that the controller has found to be such; not of one that nobody knows."""
    # Ten MiB, which only those who have tokens verified need.
    from proxy.policy.tokens.keys import Unusable, read_keys

    found = {}
    for name, text in sets.items():
        try:
            found[name] = read_keys(text)[0] if text else ()
        except Unusable as fault:
            log.error("keys for tokens cannot be used: it %s", fault)
    return found


def main() -> None:
    """Entry point of the process: `--slot`, `--channel`, `--scoreboard`, `--handover-in`, numbers; `--handover-out`,
    `SLOT:FD,...`."""
    # Not argparse, which writes to half a MiB that a forked worker shares with the arbiter.
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    slot, board = int(given["--slot"]), Scoreboard.attach(int(given["--scoreboard"]))
    channel = Channel.adopt(int(given["--channel"]))
    received = channel.receive()
    if received is None:
        sys.exit("worker: the arbiter is gone")
    process_log.set_up(received[0]["settings"]["log_level"], f"worker {slot}")
    pairs = (pair.split(":") for pair in given.get("--handover-out", "").split(",") if pair)
    outgoing = {int(other): int(fd) for other, fd in pairs}
    handed = Handed(board, slot, int(given["--handover-in"]), outgoing)
    worker = Worker(board, slot, channel, handed, received[0])
    keep_freed()
    gc.collect()
    gc.freeze()
    worker.run()
