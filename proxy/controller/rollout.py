"""Brings the snapshot in force to every worker: one greenlet each, so that one that hangs delays nobody else.

A worker is sent only what it lacks; several snapshots it has not been sent yet become one message.
"""

import logging
import os
import time
from collections.abc import Mapping

import gevent
from gevent.event import Event

from proxy.controller.snapshots import Snapshots
from proxy.controller.sockets import Sockets
from proxy.ipc.channel import Channel, write_body

log = logging.getLogger("controller")

RESEND_S = 5.0
"""A worker that has read a snapshot and not acknowledged it after this time has lost it (it ran out of descriptors)."""


class _Link:
    """One worker: its channel, the number it was sent last and the sockets it has (address -> token)."""

    def __init__(self, slot: int, channel: Channel, sent: int, given: dict[str, int]) -> None:
        self.slot = slot
        self.channel = channel
        self.sent = sent
        self.given = given
        self.sent_at = 0.0
        self.news = Event()
        self.greenlet: gevent.Greenlet[[], None] | None = None


class Rollout:
    """The workers that are there, and what each has been sent."""

    def __init__(self, snapshots: Snapshots, sockets: Sockets) -> None:
        self._snapshots = snapshots
        self._sockets = sockets
        self._links: dict[int, _Link] = {}

    def add(self, slot: int, fd: int, acknowledged: int) -> None:
        """A worker has come, or was there before this controller and has `acknowledged` a snapshot (0: none)."""
        self.remove(slot)
        current = self._snapshots.number and acknowledged == self._snapshots.number
        given = self._current_sockets() if current else {}
        link = self._links[slot] = _Link(slot, Channel.adopt(fd), acknowledged, given)
        link.news.set()
        link.greenlet = gevent.spawn(self._serve, link)

    def remove(self, slot: int) -> None:
        """The worker is gone."""
        if link := self._links.pop(slot, None):
            if link.greenlet:
                link.greenlet.kill()
            link.channel.close()

    def see_that_taken(self, acknowledged: Mapping[int, int], now: float) -> None:
        """Send again what a worker has read and, `RESEND_S` later, not `acknowledged` (number by slot)."""
        for slot, link in self._links.items():
            late = acknowledged.get(slot, link.sent) < link.sent and now > link.sent_at + RESEND_S
            if late and not link.channel.unread():
                log.error("worker %d has not taken snapshot %d: sending it again", slot, link.sent)
                link.sent, link.given = acknowledged[slot], {}
                link.news.set()

    def publish(self) -> None:
        """There is a new snapshot."""
        for link in self._links.values():
            link.news.set()

    def _current_sockets(self) -> dict[str, int]:
        wanted = self._snapshots.addresses
        return {address: self._sockets.open[address].token for address in wanted if address in self._sockets.open}

    def _serve(self, link: _Link) -> None:
        while True:
            link.news.wait()
            link.news.clear()
            if self._snapshots.number == link.sent:
                continue
            try:
                self._send(link)
            except (BrokenPipeError, ConnectionResetError):
                return  # it died; the arbiter will say so
            except OSError as fault:
                log.error("snapshot %d to worker %d: %s; trying again", self._snapshots.number, link.slot, fault)
                link.news.set()
                gevent.sleep(1)

    def _send(self, link: _Link) -> None:
        number, current = self._snapshots.number, self._current_sockets()
        fresh = [address for address, token in current.items() if link.given.get(address) != token]
        fds = [write_body(self._snapshots.body(link.sent))]
        try:
            # Copies: a send that has to wait must not find that the socket was closed meanwhile.
            fds += [os.dup(self._sockets.open[address].fd) for address in fresh]
            link.channel.send({"op": "snapshot", "number": number, "sockets": fresh}, fds)
        finally:
            for fd in fds:
                os.close(fd)
        link.sent, link.given, link.sent_at = number, current, time.monotonic()
