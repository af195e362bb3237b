"""Where the commands about ejections get their answers: Redis itself, or a replica that is asked by its admin pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from proxy.ctl.admin_source import AdminSource
from proxy.ctl.common import fail
from proxy.ctl.fleet_store import FleetStore
from proxy.settings.kinds import masked_url
from state.errors import StoreUnavailable
from state.operating.explain import ClusterReport
from state.operating.history import Entry
from state.operating.operator import Done, Operator, Order
from state.operating.sight import Out
from state.operating.viewer import Refused


@dataclass(frozen=True, slots=True)
class Place:
    """Where the options say that the fleet's state is: in Redis, or, with `admin`, on a replica's admin pages."""

    store: FleetStore
    admin: str | None = None

    @property
    def where(self) -> str:
        """For messages, without a password."""
        return masked_url(self.store.access.redis) if self.admin is None else self.admin


class Source(Protocol):
    """What can be asked and ordered; see state.operating.viewer and state.operating.operator."""

    def ejections(self) -> list[Out]:
        """Everything that is out."""

    def nothing_here(self) -> str:
        """Why it says nothing that there is nothing: no replica uses that place. "" if one does."""

    def history(self, cluster: str = "", endpoint: str = "", limit: int = 20, since_ms: int = 0) -> list[Entry]:
        """What happened, oldest first."""

    def explain(self, cluster: str, endpoint: str = "") -> ClusterReport:
        """Why endpoints are in or out."""

    def eject(self, order: Order) -> Done:
        """Take an endpoint out."""

    def uneject(self, order: Order) -> Done:
        """Put it back."""


@contextmanager
def asked(place: Place) -> Iterator[Source]:
    """The source for the length of the block; what goes wrong in it is said, and ends the program."""
    with telling(place):
        if place.admin is not None:
            yield AdminSource.at(place.admin)
        else:
            with place.store.client() as client:
                yield Operator(client, place.store.prefix)


@contextmanager
def telling(place: Place) -> Iterator[None]:
    """What goes wrong in the block is said, and ends the program."""
    try:
        yield
    except Refused as fault:
        fail(str(fault))
    except StoreUnavailable as fault:
        fail(str(fault) if place.admin is not None else f"{place.where}: {fault}; {place.store.remedy(fault)}")
