"""The snapshot in force, and the history needed to tell anybody what he lacks of it: numbers, and bodies with only what
changed (their form: proxy/ipc/snapshot.py).

Decides nothing about the mesh and sends nothing. What is still the same object in the model is not looked at further,
so an update costs as much as has changed, but for one comparison of identity a cluster and, where names came or went,
a Service.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy.controller.compact import Endpoints
from proxy.controller.forms import cluster_form, routes_form
from proxy.controller.history import History
from proxy.controller.slots import Slots
from proxy.ipc.snapshot import (
    Body,
    ClusterForm,
    CredentialForm,
    ListenerForm,
    RoutesForm,
    TerminationForm,
    TlsForm,
    body,
    pack,
)
from proxy.mesh.model import Cluster, Listener, Routes
from proxy.scoreboard.scoreboard import Scoreboard


@dataclass
class _Listener:
    """One in force. `services`: the model's, as compared last."""

    name: str
    protocol: str
    tls: list[TerminationForm]
    services: Mapping[str, Routes]
    routes: History[RoutesForm]


@dataclass
class _Change:
    """What an update would change."""

    clusters: Mapping[str, ClusterForm]
    removed: Sequence[str]
    listeners: bool
    routes: Mapping[str, tuple[Mapping[str, RoutesForm], Sequence[str]]]  # by address: changed, removed
    tls: bool
    credentials: bool
    keys: bool

    def __bool__(self) -> bool:
        routes = any(changed or removed for changed, removed in self.routes.values())
        secrets = self.tls or self.credentials or self.keys
        return bool(self.clusters or self.removed or self.listeners or routes or secrets)


class Snapshots:
    """The snapshot in force."""

    def __init__(self, board: Scoreboard) -> None:
        self._board = board
        self.number = 0
        """0: there is none yet."""
        self.changed_at = 0.0
        """When it came into force, wall clock; 0: before this controller."""
        self.tls: TlsForm | None = None
        """Certificates, the private key among them: not for the admin pages."""
        self._tls_changed = 0  # the number
        self.credentials: Mapping[str, CredentialForm] = {}
        """For TLS to endpoints and of clients, private keys among them: not for the admin pages."""
        self._credentials_changed = 0
        self.keys: Mapping[str, str] = {}
        """That tokens are verified with."""
        self._keys_changed = 0
        self._clusters: History[ClusterForm] = History(0)
        self._listeners: dict[str, _Listener] = {}  # by address
        self._models: Mapping[str, Cluster] = {}  # what `_clusters` was made from
        self._slots = Slots(board)
        self._slots_begun = False

    @property
    def clusters(self) -> Mapping[str, ClusterForm]:
        """Clusters in force, by name."""
        return self._clusters.forms

    @property
    def addresses(self) -> Iterable[str]:
        """Of the listeners in force."""
        return self._listeners.keys()

    def listeners(self, since: int = 0) -> list[ListenerForm]:
        """The listeners in force, with what is new since that number."""
        return [self._listener_form(address, each, since) for address, each in self._listeners.items()]

    def _listener_form(self, address: str, listener: _Listener, since: int) -> ListenerForm:
        full = since < listener.routes.begun or since == 0
        form = ListenerForm(
            name=listener.name,
            address=address,
            protocol=listener.protocol,
            full=full,
            services=dict(listener.routes.forms if full else listener.routes.changed_since(since)),
            removed=[] if full else list(listener.routes.removed_since(since)),
        )
        if listener.tls:
            form["tls"] = listener.tls
        return form

    def body(self, since: int) -> bytes:
        """What is new since snapshot `since` (0: everything), packed."""
        full = since < self._clusters.begun or since == 0
        clusters = self.clusters.values() if full else (form for _, form in self._clusters.changed_since(since))
        removed = () if full else self._clusters.removed_since(since)
        made = body(self.number, full, [*clusters], [*removed], self.listeners(since))
        if full or self._tls_changed > since:
            made["tls"] = self.tls
        if full or self._credentials_changed > since:
            made["credentials"] = dict(self.credentials)
        if full or self._keys_changed > since:
            made["keys"] = dict(self.keys)
        return pack(made)

    # -- from a former controller -----------------------------------------------------------------------------------

    def begin_after(self, number: int) -> None:
        """Number the next snapshot above what workers already have, when there is no body to restore."""
        self.number = max(self.number, number)
        self._clusters = History(self.number + 1)

    def restore(self, bodies: Iterable[Body]) -> None:
        """Continue from what a former controller made: a full body, and what changed after it."""
        for kept in bodies:
            self.number = number = kept["number"]
            if kept["full"]:
                self._clusters = History(number)
            for form in kept["clusters"]:
                form["endpoints"] = Endpoints(form["endpoints"])
                self._clusters.put(form["name"], form, number)
            for name in kept["removed"]:
                self._clusters.drop(name, number)
            self._restore_listeners(kept["listeners"], number)
            if "tls" in kept:
                self.tls, self._tls_changed = kept["tls"], number
            if "credentials" in kept:
                self.credentials, self._credentials_changed = kept["credentials"], number
            if "keys" in kept:
                self.keys, self._keys_changed = kept["keys"], number

    def _restore_listeners(self, forms: Iterable[ListenerForm], number: int) -> None:
        former, self._listeners = self._listeners, {}
        for form in forms:
            routes = History[RoutesForm](number) if form["full"] else former[form["address"]].routes
            for service, names in form["services"].items():
                routes.put(service, names, number)
            for service in form["removed"]:
                routes.drop(service, number)
            self._listeners[form["address"]] = _Listener(
                form["name"], form["protocol"], form.get("tls", []), {}, routes
            )

    # -- a new one --------------------------------------------------------------------------------------------------

    def update(
        self,
        listeners: Mapping[str, Listener],
        clusters: Mapping[str, Cluster],
        now: float,
        tls: TlsForm | None = None,
        credentials: Mapping[str, CredentialForm] | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> bool:
        """Put a new configuration in force, its listeners by address; False when it is the one that is.

        MemoryError: the scoreboard is full, and nothing has changed.
        """
        self._begin_slots(now)
        change = self._compare(listeners, clusters, now, tls, credentials or {}, keys or {})
        news = bool(change) or not self.number
        if news:
            self.number += 1
            self.changed_at = round(time.time(), 3)
            self._put_clusters(change, now)
            self._put_listeners(change, listeners)
            if change.tls:
                self.tls, self._tls_changed = tls, self.number
            if change.credentials:
                self.credentials, self._credentials_changed = credentials or {}, self.number
            if change.keys:
                self.keys, self._keys_changed = keys or {}, self.number
        self._models = clusters
        for address, listener in listeners.items():
            self._listeners[address].services = listener.services
        return news

    def settle(self, now: float) -> bool:
        """Give back the slots, and forget the history, that no worker needs any more. True: there is more room now."""
        acknowledged = min((row.snapshot for row in self._board.workers.rows()), default=self.number)
        self._clusters.forget(acknowledged)
        for listener in self._listeners.values():
            listener.routes.forget(acknowledged)
        return self._slots.give_back(acknowledged, now)

    def _begin_slots(self, now: float) -> None:
        """What is on the board and not in the snapshot in force, or in the first one, is out of use."""
        if not self._slots_begun:
            self._slots_begun = True
            self._slots.begin(self.number + (not self.clusters), now)
            for form in self.clusters.values():
                self._slots.used(form)

    def _compare(
        self,
        listeners: Mapping[str, Listener],
        clusters: Mapping[str, Cluster],
        now: float,
        tls: TlsForm | None,
        credentials: Mapping[str, CredentialForm],
        keys: Mapping[str, str],
    ) -> _Change:
        changed = self._changed_clusters(clusters, now)
        fresh = sum(name not in self.clusters for name in changed)
        present = {address: (each.name, each.protocol, each.tls) for address, each in self._listeners.items()}
        wanted = {address: (each.name, each.protocol, _terminations(each)) for address, each in listeners.items()}
        return _Change(
            clusters=changed,
            removed=self._clusters.missing(clusters, fresh),
            listeners=present != wanted,
            routes={address: self._changed_routes(address, each) for address, each in listeners.items()},
            tls=tls != self.tls,
            credentials=credentials != self.credentials,
            keys=keys != self.keys,
        )

    def _changed_clusters(self, clusters: Mapping[str, Cluster], now: float) -> dict[str, ClusterForm]:
        changed: dict[str, ClusterForm] = {}
        if clusters is self._models:
            return changed
        known, forms = self._models.get, self.clusters
        for name, cluster in clusters.items():
            if known(name) is not cluster:
                form = cluster_form(cluster, *self._slots.of(cluster, self.number, now))
                if forms.get(name) != form:
                    changed[name] = form
        return changed

    def _changed_routes(self, address: str, listener: Listener) -> tuple[dict[str, RoutesForm], Sequence[str]]:
        changed: dict[str, RoutesForm] = {}
        present = self._listeners.get(address)
        if present is None:
            return {service: routes_form(routes) for service, routes in listener.services.items()}, ()
        if present.services is listener.services:
            return changed, ()
        known, forms, fresh = present.services.get, present.routes.forms, 0
        for service, routes in listener.services.items():
            if known(service) is not routes:
                form = routes_form(routes)
                fresh += service not in forms
                if not _same(forms.get(service), form):
                    changed[service] = form
        return changed, present.routes.missing(listener.services, fresh)

    def _put_clusters(self, change: _Change, now: float) -> None:
        for name in change.removed:
            self._slots.left(self.clusters[name], None, self.number, now)
            self._clusters.drop(name, self.number)
        for name, form in change.clusters.items():
            if former := self.clusters.get(name):
                self._slots.left(former, form, self.number, now)
            self._slots.used(form)
            self._clusters.put(name, form, self.number)

    def _put_listeners(self, change: _Change, listeners: Mapping[str, Listener]) -> None:
        former, self._listeners = self._listeners, {}
        for address, listener in listeners.items():
            known = former.get(address)
            same = known is not None and known.protocol == listener.protocol
            routes = known.routes if known is not None and same else History[RoutesForm](self.number)
            changed, removed = change.routes[address]
            for service, form in changed.items():
                routes.put(service, form, self.number)
            for service in removed:
                routes.drop(service, self.number)
            self._listeners[address] = _Listener(
                listener.name, listener.protocol, _terminations(listener), listener.services, routes
            )


def _terminations(listener: Listener) -> list[TerminationForm]:
    return [TerminationForm(hostname=each.hostname, credentials=list(each.credentials)) for each in listener.tls]


def _same(one: RoutesForm | None, other: RoutesForm) -> bool:
    """The order of the clusters counts."""
    return one is not None and [*one.items()] == [*other.items()]
