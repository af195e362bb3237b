"""The objects of a cluster that one Gateway needs, kept up with by watches that come and go with what is served.

    for change in source.take(): ...     what has changed, once everything that belongs to it has been told

Each watch waits in a thread of its own, which is a greenlet where the process has been patched (`proxy.ipc.patch`).
"""

from __future__ import annotations

import logging
import marshal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from proxy.kubernetes.api.client import Client, Object
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Watched
from proxy.kubernetes.api.watches import Watches
from proxy.kubernetes.source import kinds
from proxy.kubernetes.source.nodes import Nodes
from proxy.kubernetes.source.plan import Known, Learned, wanted

logger = logging.getLogger("kubernetes")


class Id(NamedTuple):
    """An object: its resource's full name, its namespace ("" for none) and its own name."""

    resource: str
    namespace: str
    name: str


class Change(NamedTuple):
    """An object as it is now; `body` None: it is gone."""

    id: Id
    body: Object | None


class _Held(NamedTuple):
    """A change that nobody has taken yet. In bytes: thousands of objects wait together when a waypoint begins, and as
    dictionaries they would be a third of what it ever weighs."""

    id: Id
    packed: bytes

    @classmethod
    def of(cls, id: Id, body: Object | None) -> _Held:
        return cls(id, marshal.dumps(body))

    def change(self) -> Change:
        return Change(self.id, marshal.loads(self.packed))  # what we have packed ourselves


class KubernetesSource:
    """Everything that the Gateway of `known` needs. `news` is called when `take` has something new, from any thread."""

    def __init__(self, client: Client, known: Known, news: Callable[[], None]) -> None:
        self._client = client
        self._news = news
        self._learned = Learned(known)
        self._nodes = Nodes()
        self._essential = frozenset({"", known.namespace, known.root_namespace})
        """Namespaces without which nothing is served; the services of another one wait for that one alone."""
        self._lock = threading.RLock()
        self._watches = Watches(client, self, _told)
        self._holders: dict[Id, set[Watched]] = {}
        """Which watches deliver an object: a Service may be found by its namespace and by its label."""
        self._waiting: dict[str, list[_Held]] = {}
        """Changes by namespace, until everything of the namespace has been told."""
        self._batch: list[_Held] = []
        """What one piece of news has changed, as far as it is worked out."""
        self._ready: deque[_Held] = deque()
        self.synced = False
        """Whether everything that is essential was known at some moment."""

    def start(self) -> None:
        """Begin to watch."""
        with self._lock:
            self._follow_plan()

    def stop(self) -> None:
        """End every watch."""
        with self._lock:
            for reflector in self._watches.running.values():
                reflector.stop()
            self._watches.running.clear()

    def take(self) -> Iterator[Change]:
        """What has changed since the last call, in order; nothing before `synced`. From any thread, one at a time; what
        changes together is there together: no Service without the policy that guards it."""
        while self.synced and self._ready:
            yield self._ready.popleft().change()

    @property
    def reason(self) -> str:
        """Why not everything is known yet, in one line; "" when it is."""
        with self._lock:
            reason = self._watches.reason(self._waited_for())
        return f"kubernetes: {reason}" if reason else ""

    def troubles(self) -> list[str]:
        """Of what we know nothing, or something that may be old, and why."""
        with self._lock:
            return [
                _told(each, fault) for each, fault in sorted(self._watches.troubles.items(), key=lambda pair: pair[0])
            ]

    # -- what reflectors tell (api.reflector.Sink) ------------------------------------------------------------------

    def put(self, watched: Watched, namespace: str, name: str, body: Object) -> None:
        id = Id(watched.resource.full_name, namespace, name)
        with self._lock:
            if watched not in self._watches.running:
                return  # it was ended meanwhile
            self._holders.setdefault(id, set()).add(watched)
            if watched.resource == kinds.NODES:
                known = self._nodes.news(name, body)
                if known is None:
                    return
                body = known
            if self._learned.put(watched, namespace, name, body):
                self._follow_plan()
            self._tell(_Held.of(id, body))
            self._hand_over()

    def drop(self, watched: Watched, namespace: str, name: str) -> None:
        with self._lock:
            if watched not in self._watches.running:
                return
            self._drop(watched, Id(watched.resource.full_name, namespace, name))
            if watched.resource == kinds.NODES:
                self._nodes.gone(name)
            if self._learned.drop(watched, namespace, name):
                self._follow_plan()
            self._hand_over()

    def listed(self, watched: Watched) -> None:
        with self._lock:
            if watched in self._watches.running:
                self._settle(watched)
                self._hand_over()

    def troubled(self, watched: Watched, fault: ApiFault) -> None:
        with self._lock:
            if watched not in self._watches.running:
                return
            self._say(watched, fault)
            self._watches.troubles[watched] = fault
            if watched.optional or (fault.not_found and watched.resource in kinds.ROUTES):
                self._settle(watched)
            else:
                self._see_whether_synced()
            self._hand_over()

    def well(self, watched: Watched) -> None:
        with self._lock:
            before = self._watches.troubles.pop(watched, None)
            if before and _is_about(before):
                logger.info("%s: followed again", watched)
            elif before and not any(not _is_about(each) for each in self._watches.troubles.values()):
                logger.info("%s: followed again", self._client.server)

    def _say(self, watched: Watched, fault: ApiFault) -> None:
        """Once: of a watch what is wrong with it alone, of the server what is wrong with all of them."""
        if _is_about(fault):
            if str(self._watches.troubles.get(watched)) != str(fault):
                logger.log(logging.INFO if watched.optional else logging.WARNING, "%s", _told(watched, fault))
        elif all(map(_is_about, self._watches.troubles.values())):
            logger.warning("%s; going on with what is known", fault)

    # -- what is told when ------------------------------------------------------------------------------------------

    def _settle(self, watched: Watched) -> None:
        """All that there is of a watch has been told."""
        self._watches.unsynced.discard(watched)
        self._release(watched.namespace)
        self._see_whether_synced()

    def _see_whether_synced(self) -> None:
        if not self.synced and not self._waited_for():
            self._hand_over()
            self.synced = True
            self._news()

    def _waited_for(self) -> set[Watched]:
        """What there is still to be told of. For a namespace that is not essential, and of which the server does not
        tell, nobody waits: what is in it is not served."""
        return {
            each
            for each in self._watches.unsynced
            if each.namespace in self._essential or each not in self._watches.troubles
        }

    def _tell(self, change: _Held) -> None:
        if self._is_open(change.id.namespace):
            self._batch.append(change)
        else:
            self._waiting.setdefault(change.id.namespace, []).append(change)

    def _is_open(self, namespace: str) -> bool:
        return not any(each.namespace == namespace for each in self._watches.unsynced)

    def _release(self, namespace: str) -> None:
        if self._is_open(namespace) and (changes := self._waiting.pop(namespace, None)):
            self._batch += changes

    def _hand_over(self) -> None:
        if self._batch:
            self._ready.extend(self._batch)  # one step, as other threads see it
            self._batch.clear()
            if self.synced:
                self._news()

    # -- which watches there are ------------------------------------------------------------------------------------

    def _follow_plan(self) -> None:
        needed = wanted(self._learned.known)
        for watched in self._watches.running.keys() - needed:
            self._end(watched)
        for watched in sorted(needed - self._watches.running.keys()):
            self._watches.begin(watched)

    def _end(self, watched: Watched) -> None:
        self._watches.end(watched)
        self._learned.forget(watched)
        for id in [id for id, holders in self._holders.items() if watched in holders]:
            self._drop(watched, id)
        self._release(watched.namespace)

    def _drop(self, watched: Watched, id: Id) -> None:
        """A watch no longer delivers an object; when none does, it is gone."""
        holders = self._holders.get(id, set())
        holders.discard(watched)
        if not holders and self._holders.pop(id, None) is not None:
            self._tell(_Held.of(id, None))


def _is_about(fault: ApiFault) -> bool:
    """Whether a fault is about the one watch, and not about the server, or who we are to it."""
    return fault.forbidden or fault.not_found


def _told(watched: Watched, fault: ApiFault) -> str:
    if fault.forbidden:
        return f"{watched}: {fault}; it takes the rule {watched.rule}"
    if fault.not_found:
        return f"{watched}: the cluster has no such resource"
    return f"{watched}: {fault}"
