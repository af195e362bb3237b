"""The controller's view of the listening sockets, which the arbiter opens for it: wanted, open, refused.

Asking and hearing are the controller's; nothing here waits.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from proxy.controller.desired import Bound
from proxy.ipc.channel import Message


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Our copy of a listening socket. `token` tells it from an earlier one on the same address."""

    fd: int
    token: int


class Sockets:
    """Listening sockets by address; `say` sends a message to the arbiter."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self.open: dict[str, OpenSocket] = {}
        self.errors: dict[str, str] = {}
        """Wanted addresses that cannot be opened, with the reason."""
        self.asked: set[str] = set()
        """Addresses the arbiter has not answered for yet."""
        self._wanted: set[str] = set()
        self._say = say
        self._tokens = itertools.count(1)

    def want(self, addresses: Iterable[str]) -> None:
        """Have these open and no others. What has been refused is asked for again by `retry` alone."""
        fresh = set(addresses) - self._wanted
        self._wanted = set(addresses)
        self.errors = {address: reason for address, reason in self.errors.items() if address in self._wanted}
        for address in self.open.keys() - self._wanted:
            self._say({"op": "unbind", "address": address})
            os.close(self.open.pop(address).fd)
        self._ask(fresh)

    def retry(self) -> None:
        """Ask (again) for what is wanted and not open."""
        self._ask(self._wanted)

    def _ask(self, addresses: Set[str]) -> None:
        for address in sorted(addresses - self.open.keys() - self.asked):
            self.asked.add(address)
            self._say({"op": "bind", "address": address})

    @property
    def bound(self) -> Bound:
        """As it is now."""
        return Bound(frozenset(self.open), frozenset(self.asked), frozenset(self.errors))

    def answered(self, address: str, error: str, fds: list[int]) -> None:
        """The arbiter's answer; also what it has open already, before anything is asked."""
        unwanted = address in self.asked and address not in self._wanted
        self.asked.discard(address)
        self.errors.pop(address, None)
        if error:
            if not unwanted:
                self.errors[address] = error
            return
        if unwanted:  # since we asked: nobody would accept on it
            self._say({"op": "unbind", "address": address})
            return
        if former := self.open.pop(address, None):
            os.close(former.fd)
        self.open[address] = OpenSocket(fds.pop(), next(self._tokens))

    def close(self) -> None:
        """Close our copies and want nothing more: the replica drains."""
        self._wanted = set()
        for each in self.open.values():
            os.close(each.fd)
        self.open.clear()
