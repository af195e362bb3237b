"""The process that knows the configuration: reads it, has sockets opened for it, brings it to the workers, and tells.

Serves no request. When it dies, workers go on with what they have and a new one continues from what the arbiter kept.
Messages: `proxy.ipc.channel`.
"""

import argparse
import logging
import os
import time
from collections.abc import Sequence

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from proxy import addresses, log
from proxy.admin.hosts import only_ours
from proxy.admin.metrics.scrape import PATH, Scrape
from proxy.admin.outlier_pages import OutlierPages
from proxy.admin.pages import PageServer
from proxy.admin.statsd import Pusher
from proxy.controller.asking import Asking
from proxy.controller.certificates import certificates_of
from proxy.controller.cluster import client_of, cluster_of, events_of, own_of
from proxy.controller.configuration import Configuration
from proxy.controller.desired import Certified, Desired, Line, Publication, Reading, Site, desired
from proxy.controller.expiry import Expiry
from proxy.controller.fetching import Fetching
from proxy.controller.gather import Gather
from proxy.controller.keeping import Keeping
from proxy.controller.keys import KeySets
from proxy.controller.metrics import Metrics
from proxy.controller.names import Names
from proxy.controller.pages import Admin, ready
from proxy.controller.readiness import Readiness
from proxy.controller.rollout import Rollout
from proxy.controller.route_pages import RoutePages
from proxy.controller.rule_pages import RulePages
from proxy.controller.snapshots import Snapshots
from proxy.controller.sockets import Sockets
from proxy.fleet.operator_door import OperatorDoor
from proxy.identity.credential_watch import CredentialWatch
from proxy.identity.watch import Said
from proxy.ipc.channel import Channel, Message, read_body
from proxy.ipc.snapshot import OtherVersion, unpack_all
from proxy.mesh.resolving.credentials import wanted
from proxy.mesh.resolving.issuers import sources
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.settings.settings import Settings

logger = logging.getLogger("controller")

POLL_S = 1.0
"""How often files are looked at, refused sockets tried again and slots given back."""
FIRST_ANSWERS_S = 1.0
"""How long a replica that starts waits for DNS, and whoever meets a new issuer of tokens for its keys, before it serves
without what is not there yet."""
FIRST_READY_S = 0.05
"""How often readiness is looked at until the replica is ready for the first time."""


class Controller:
    """Everything a controller does, from its first message on."""

    def __init__(self, arbiter: Channel, board: Scoreboard, briefing: Message, restarted: bool) -> None:
        self._arbiter = arbiter
        self._board = board
        self._restarted = restarted
        self._settings = Settings.from_message(briefing["settings"])
        self._gather = Gather()
        client = client_of(self._settings)
        self._cluster = cluster_of(self._settings, client, self._gather.news)
        self._events = events_of(self._settings, client, board, briefing)
        names = Names()
        self._asking = Asking(names, self._settings.name_servers, self._gather.news)
        self._configuration = Configuration(
            self._settings.manifests,
            self._settings.gateway,
            self._settings.vanished_manifests_grace,
            cluster=self._cluster,
            own=own_of(self._settings),
            answers=names.take,
        )
        self._certificates = certificates_of(self._settings)
        self._credentials = CredentialWatch()
        self._fetching = Fetching(KeySets(), self._gather.news)
        self._saying = BoundedSemaphore()
        self._snapshots = Snapshots(board)
        self._sockets = Sockets(self._say)
        self._keeping = Keeping(self._snapshots, self._say)
        self._rollout = Rollout(self._snapshots, self._sockets)
        self._readiness = Readiness(board, self._snapshots, self._sockets, self._configuration)
        self._admin = Admin(
            *(self._settings, briefing, board, self._snapshots, self._configuration, self._certificates),
            *(self._credentials, self._readiness, names, self._fetching.sets),
        )
        self._outlier_pages = OutlierPages(self._door(briefing))
        self._metrics = Metrics(
            *(board, self._snapshots, self._configuration, self._certificates, self._readiness, briefing["started"])
        )
        self._expiry = Expiry(board)
        self._told_to = False
        self._look = Event()
        # What is known, and news of it; what follows is asked of `desired`.
        self._site = Site(self._settings.bind, self._certificates.option)
        self._reading, self._certified = Reading(), Certified()
        self._news = Event()
        self._said: Sequence[Line] = ()
        self._answered = False
        self._draining = False

    def _door(self, briefing: Message) -> OperatorDoor:
        return OperatorDoor(
            *(self._board, briefing["replica"], self._settings.access(briefing["redis"]), self._settings.keys_prefix),
            lambda: self._snapshots.clusters,
            briefing["started"],
        )

    def run(self) -> None:
        """Until the arbiter is gone."""
        self._start_page_servers()
        tasks = [self._follow_sources, self._follow_news, self._look_after, self._announce, self._follow_certificates]
        tasks += [self._follow_others, self._asking.run, self._fetching.run]
        if self._cluster:
            self._cluster.start()
        greenlets = [gevent.spawn(task) for task in tasks]
        if self._settings.statsd:
            greenlets.append(gevent.spawn(self._push_statsd, *addresses.split(self._settings.statsd)))
        for greenlet in greenlets:
            greenlet.link_exception(_give_up)
        while (received := self._arbiter.receive()) is not None:
            self._on_message(*received)

    # -- messages ---------------------------------------------------------------------------------------------------

    def _say(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        with self._saying:  # a full channel makes this wait, and two greenlets may not wait on one socket
            self._arbiter.send(message, fds)

    def _on_message(self, message: Message, fds: list[int]) -> None:
        match message["op"]:
            case "worker":
                self._rollout.add(message["slot"], fds.pop(), self._board.workers.row(message["slot"]).snapshot)
            case "worker-gone":
                self._rollout.remove(message["slot"])
            case "wanted":
                self._readiness.wanted_workers = message["workers"]
            case "bound":
                address, error = message["address"], message["error"]
                if error and self._sockets.errors.get(address) != error:  # it is tried again every second
                    logger.error("listener %s: %s", address, error)
                self._sockets.answered(address, error, fds)
                self._news.set()
            case "kept":
                self._restore(read_body(fds[0]))
            case "reload":
                self._told_to = True
                self._fetching.hurry()
                self._look.set()
            case "drain":
                self._draining = True
                self._sockets.close()
            case unknown:
                logger.error("the arbiter says %r, which means nothing here", unknown)
        for fd in fds:
            os.close(fd)

    def _restore(self, kept: bytes) -> None:
        """Continue from what a former controller kept."""
        try:
            self._snapshots.restore(list(unpack_all(kept)))
        except OtherVersion as fault:
            logger.error("what the former controller kept is of no use: %s", fault)
            return
        for form in self._snapshots.clusters.values():
            for name, known in form.get("names", {}).items():
                self._asking.names.remember(name, known)
        self._certificates.adopt(self._snapshots.tls)
        self._credentials.adopt(self._snapshots.credentials)
        self._fetching.sets.remember(self._snapshots.keys)
        self._certified = self._certified_now()

    # -- configuration ----------------------------------------------------------------------------------------------

    def _follow_others(self) -> None:
        """The cluster, and DNS."""
        while True:
            self._gather.wait()
            self._look.set()

    def _follow_certificates(self) -> None:
        self._certificates.run(self._look.set)

    def _follow_sources(self) -> None:
        """Read manifests, what the cluster has told and certificates whenever there is something new in them."""
        if self._restarted and not self._snapshots.number:
            self._snapshots.begin_after(max((row.snapshot for row in self._board.workers.rows()), default=0))
        while True:
            told_to, self._told_to = self._told_to, False
            self._look.clear()
            # In a thread: many manifests take seconds to parse, and probes want answers meanwhile.
            pool = gevent.get_hub().threadpool
            certified = pool.apply(self._certificates.refresh)
            told = pool.apply(self._configuration.refresh, (told_to,))
            if told:
                self._asking.want(self._configuration.names)
                if not self._reading.number and self._asking.settle(FIRST_ANSWERS_S):
                    pool.apply(self._configuration.refresh, (False,))
            if told and (model := self._configuration.snapshot):
                self._credentials.want(wanted(model), model.secrets)
                self._fetching.want(sources(model.clusters))
                self._fetching.settle(FIRST_ANSWERS_S)
            # Before the clusters that need them are published.
            certified = pool.apply(self._credentials.refresh) or certified
            if told:
                self._reading = self._read()
                if self._events:
                    self._events.refused(self._configuration.refusals())
                self._news.set()
            if certified or self._fetching.sets.forms != self._certified.keys:
                self._certified = self._certified_now()
                self._news.set()
            if certified:
                for level, text in (*self._certificates.news(), *self._credentials.news()):
                    logger.log(level, "%s", text)
            self._look.wait(POLL_S)

    def _certified_now(self) -> Certified:
        found = self._certificates
        keys = self._fetching.sets.forms
        return Certified(found.form(), found.problems, found.waiting, self._credentials.forms, keys)

    def _read(self) -> Reading:
        """What came of it. A copy: the next one is made in a thread."""
        found, number = self._configuration, self._reading.number + 1
        return Reading(
            number=number,
            spoken=found.file_readings,
            starting=number == 1 and not self._restarted,
            in_force=self._snapshots.number,
            valid=found.is_read,
            model=found.snapshot,
            reason=found.reason,
            mended=bool(self._reading.faults and not found.faults),
            faults=found.faults,
            warnings=found.warnings,
        )

    def _follow_news(self) -> None:
        """Do what is desired after everything that has happened: nobody else does any of it."""
        while True:
            self._news.wait()
            self._news.clear()
            if not self._draining:
                self._do(desired(self._site, self._reading, self._certified, self._sockets.bound))

    def _do(self, wanted: Desired) -> None:
        for line in wanted.lines:
            if line not in self._said:
                logger.log(line.level, "%s", line.text)
        self._said = wanted.lines
        if wanted.answer and not self._answered:
            self._answered = True
            self._say({"op": wanted.answer})
        self._readiness.listener_faults = wanted.faults
        if wanted.sockets is not None:
            self._sockets.want(wanted.sockets)
        if wanted.publish is not None:
            self._publish(wanted.publish)

    def _publish(self, wanted: Publication) -> None:
        try:
            news = self._snapshots.update(
                *(wanted.listeners, wanted.clusters, time.monotonic()),
                *(wanted.tls, wanted.credentials, wanted.keys),
            )
        except MemoryError as fault:
            if self._configuration.refuse(str(fault)):
                logger.error("%s: keeping snapshot %d", fault, self._snapshots.number)
            return
        self._configuration.refuse("")
        if news:
            self._readiness.published(time.monotonic())
            self._keeping.keep()
            self._rollout.publish()
            self._describe()

    def _describe(self) -> None:
        clusters = self._snapshots.clusters.values()
        logger.info(
            "snapshot %d: Gateway %s, listening on %s, %d clusters, %d endpoints",
            self._snapshots.number,
            self._reading.model.gateway if self._reading.model else "none",
            ", ".join(self._snapshots.addresses) or "nothing",
            len(clusters),
            sum(len(cluster["endpoints"]) for cluster in clusters),
        )

    # -- the rest ---------------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        while True:
            gevent.sleep(POLL_S)
            if not self._draining:
                self._sockets.retry()
            now = time.monotonic()
            if reminder := self._certificates.reminder():
                logger.log(*reminder)
            self._tell_events(reminder)
            if self._fetching.sets.missed(sum(row.keys_missed for row in self._board.workers.rows())):
                self._fetching.hurry()
            self._expiry.look(self._snapshots.clusters.values(), time.monotonic_ns())
            if self._snapshots.settle(now):
                self._news.set()  # what did not fit on the scoreboard may fit now
            self._rollout.see_that_taken({row.slot: row.snapshot for row in self._board.workers.rows()}, now)

    def _tell_events(self, reminder: Said | None) -> None:
        if not (events := self._events):
            return
        events.look(self._snapshots.clusters, time.monotonic_ns() // 1_000_000, time.time())
        if reminder:
            events.certificate(reminder[1], expired=(self._certificates.seconds_left() or 0) < 0)

    def _announce(self) -> None:
        """Tell the arbiter when the replica is ready for the first time."""
        while self._readiness.reason():
            gevent.sleep(FIRST_READY_S)
        logger.info("ready")
        self._say({"op": "ready"})

    def _push_statsd(self, host: str, port: int) -> None:
        pusher = Pusher(self._metrics.read, host, port, self._settings.statsd_format == "dogstatsd")
        told = False
        while True:
            try:
                pusher.push()
                told = False
            except OSError as fault:
                if not told:
                    logger.warning("statsd %s: %s; trying on", addresses.join(host, port), fault)
                told = True
            gevent.sleep(self._settings.statsd_interval)

    def _start_page_servers(self) -> None:
        """A default port that is taken is a warning; one that was asked for stops a replica that is only starting."""
        routes = RoutePages(self._configuration, self._fetching.sets, self._settings.path_normalization)
        servers = {
            "status": (self._settings.status, PageServer({"/healthz/ready": lambda: ready(self._readiness)})),
            "admin": (
                self._settings.admin,
                PageServer(
                    self._admin.pages,
                    {
                        **self._admin.queries,
                        **self._outlier_pages.queries,
                        **RulePages(self._configuration, self._asking.names).queries,
                        **routes.queries,
                    },
                    self._outlier_pages.actions,
                    only_ours(self._settings.admin),
                ),
            ),
        }
        if self._settings.metrics:
            scrape = PageServer({}, streams={PATH: Scrape(self._metrics.read)})
            servers["metrics"] = (self._settings.metrics, scrape)
        for name, (address, server) in servers.items():
            try:
                logger.info("%s listening on %s", name, server.start(address))
            except OSError as fault:
                asked = name in self._settings.given
                logger.log(
                    logging.ERROR if asked else logging.WARNING, "%s %s: %s", name, address, fault.strerror or fault
                )
                if asked and not self._restarted:
                    self._say({"op": "refused"})


def _give_up(greenlet: "gevent.Greenlet[..., object]") -> None:
    """A task that failed is a bug: end, the arbiter starts a new controller. (gevent has printed the traceback.)"""
    logger.error("a task of the controller failed: %r", greenlet.exception)
    os._exit(70)


def main(arguments: list[str]) -> int:
    """What `python -m proxy.controller` does."""
    parser = argparse.ArgumentParser(prog="proxy.controller", description="Started by waypointd; not for people.")
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--scoreboard", type=int, required=True)
    parser.add_argument("--restarted", action="store_true")
    options = parser.parse_args(arguments)
    arbiter = Channel.adopt(options.channel)
    received = arbiter.receive()
    if received is None:
        return 1
    briefing = received[0]
    log.set_up(briefing["settings"]["log_level"], "controller")
    Controller(arbiter, Scoreboard.attach(options.scoreboard), briefing, options.restarted).run()
    return 0
