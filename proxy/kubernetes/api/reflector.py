"""One watch that is never lost: what the server has of a resource, kept up for as long as it runs.

A streaming list (KEP-3157) where the server has it, else a list in pages and a watch after it. Whatever breaks, what
is known stays known: the watch goes on from where it was, and a history that is gone (410, as a status or within the
stream) is listed anew and compared. What the sink is told is the difference, once.

    state          | what happens                     | then
    listing        | all there is has been told       | watching; what was not told again is gone
    listing        | it breaks off                    | listing, after a wait
    watching       | the server ends it, or it breaks | watching, from the last version
    watching       | 410 Gone                         | listing
    any            | 404, and nothing is known        | nothing is there; listing again, rarely
    any            | 404 for what was there           | as when it breaks: a load balancer may say so, or a server
                   |                                  | that has only begun; nobody has deleted anything
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from proxy.kubernetes.api.client import JSON, Client, Events, Object
from proxy.kubernetes.api.faults import ApiFault, of_status
from proxy.kubernetes.api.pace import Pace
from proxy.kubernetes.api.resources import Watched

logger = logging.getLogger("kubernetes")

PAGE = 500
WATCH_S = (240, 300)
"""How long the server is asked to keep a watch open. A bookmark comes each minute, and one before the end."""
GRACE_S = 15.0
UNKNOWN_RESOURCE_S = 30.0
MISTAKE_S = 5.0
STEADY_S = 1.0
"""A watch that ended sooner than this is counted as a failure, so that one that ends at once does not spin."""
_END_OF_LIST = "k8s.io/initial-events-end"
_NO_STREAMING = (400, 403, 422)
_OF_STREAMING = ("sendInitialEvents", "resourceVersionMatch")
"""What those refuse who have no streaming lists, or (before 1.27) have never heard of them."""
_FROM_THE_FUTURE = "Too large resource version"
"""What a server says whose data is older than what we have seen of it: etcd was restored from a backup."""


Name = tuple[str, str]
"""Namespace ("" for none) and name of an object."""


class Sink(Protocol):
    """Who wants to know."""

    def put(self, watched: Watched, namespace: str, name: str, body: Object) -> None:
        """An object came or changed; `namespace` is "" for one that is in none."""

    def drop(self, watched: Watched, namespace: str, name: str) -> None:
        """An object is gone."""

    def listed(self, watched: Watched) -> None:
        """Everything there is has been told; for the first time, or again."""

    def troubled(self, watched: Watched, fault: ApiFault) -> None:
        """What is known may be old."""

    def well(self, watched: Watched) -> None:
        """The server answers (again)."""


class Reflector:
    """Keeps the sink up to date with what one watch delivers."""

    def __init__(
        self,
        client: Client,
        watched: Watched,
        sink: Sink,
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._watched = watched
        self._sink = sink
        self._pace = pace or Pace()
        self._versions: dict[Name, str] = {}
        """resourceVersion of each object that the sink knows."""
        self._version = ""
        """Where to go on; "" to list."""
        self._streams = True
        """Whether the server is believed to have streaming lists."""
        self._stopped = threading.Event()
        self._open: Events | None = None

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped.wait(self.turn()):
            pass

    def stop(self) -> None:
        """End; what is known is of no use any more. From any thread."""
        self._stopped.set()
        if self._open:
            self._open.close()

    def turn(self) -> float:
        """One list or watch, to its end. How long to wait before the next."""
        if not self._version and not self._streams:
            return self._turn(self._list)
        began = time.monotonic()
        wait = self._turn(self._watch)
        if time.monotonic() - began > STEADY_S:
            self._pace.reset()
            return wait
        return wait or self._pace.next()

    def _turn(self, do: Callable[[], None]) -> float:
        try:
            do()
        except ApiFault as fault:
            return self._after(fault)
        except Exception:  # it costs a line and a wait, not the watch: what is known would grow old unnoticed
            logger.exception("a mistake in waypointd; please report it. %s are listed again", self._watched)
            self._version = ""
            return self._pace.next(MISTAKE_S)
        return 0.0

    def _after(self, fault: ApiFault) -> float:
        if fault.gone or _FROM_THE_FUTURE in str(fault):
            self._version = ""
            return self._pace.next(fault.retry_after_s)
        if self._streams and not self._version and _refuses_streaming(fault):
            self._streams = False
            return 0.0
        self._sink.troubled(self._watched, fault)
        if fault.not_found and not self._versions:
            self._end_of_list(set(), "")
            return self._pace.next(UNKNOWN_RESOURCE_S)
        return self._pace.next(fault.retry_after_s)

    # -- a list in pages --------------------------------------------------------------------------------------------

    def _list(self) -> None:
        told: set[Name] = set()
        query = self._watched.query() | {"limit": str(PAGE)}
        while True:
            page = self._client.get(self._path, query, self._accept("PartialObjectMetadataList"))
            for body in page.get("items") or ():
                self._put(body, told)
            heading = page.get("metadata") or {}
            if not heading.get("continue"):
                self._end_of_list(told, heading.get("resourceVersion") or "0")
                return
            query["continue"] = heading["continue"]

    # -- watching, with or without a list before it -----------------------------------------------------------------

    def _watch(self) -> None:
        told: set[Name] | None = None if self._version else set()
        for kind, body in self._events():
            if kind in ("ADDED", "MODIFIED"):
                self._put(body, told)
            elif kind == "DELETED":
                self._drop(_name_of(body))
                if told is not None:
                    told.discard(_name_of(body))
            elif told is not None and _ends_list(body):
                self._end_of_list(told, _version_of(body))
                told = None
            if told is None:
                self._version = _version_of(body) or self._version

    def _events(self) -> Iterator[tuple[str, Object]]:
        seconds = random.randint(*WATCH_S)
        query = self._watched.query() | {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if self._version:
            query["resourceVersion"] = self._version
        else:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        accept = self._accept("PartialObjectMetadata")
        with self._client.stream(self._path, query, seconds + GRACE_S, accept) as self._open:
            if self._stopped.is_set():
                return  # who said so has perhaps not seen that this one was being opened
            self._sink.well(self._watched)
            for event in self._open:
                if self._stopped.is_set():
                    return
                yield _event(event)

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return self._watched.resource.path(self._watched.namespace)

    def _accept(self, heading: str) -> str:
        return f"{JSON};as={heading};g=meta.k8s.io;v=v1" if self._watched.heading else JSON

    def _put(self, body: Object, told: set[Name] | None) -> None:
        name, version = _name_of(body), _version_of(body)
        if told is not None:
            told.add(name)
        if self._versions.get(name) == version:
            return  # listed again, and the same
        what = {"apiVersion": self._watched.resource.api_version, "kind": self._watched.resource.kind}
        # The items of a list do not say what they are, and headings say that they are headings.
        body |= what if self._watched.heading else what | body
        _metadata(body).pop("managedFields", None)  # nobody's business here, and more than all the rest
        self._sink.put(self._watched, *name, body)
        self._versions[name] = version

    def _drop(self, name: Name) -> None:
        if self._versions.pop(name, None) is not None:
            self._sink.drop(self._watched, *name)

    def _end_of_list(self, told: set[Name], version: str) -> None:
        for name in self._versions.keys() - told:
            self._drop(name)
        self._version = version
        self._sink.listed(self._watched)


def _refuses_streaming(fault: ApiFault) -> bool:
    return fault.status in _NO_STREAMING and any(each in str(fault) for each in _OF_STREAMING)


def _event(event: Object) -> tuple[str, Object]:
    kind, body = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise ApiFault("an event that is none")
    if kind == "ERROR":
        raise of_status(body)
    return kind, body


def _metadata(body: Object) -> Object:
    found = body.get("metadata")
    if not isinstance(found, dict):
        raise ApiFault("an object without metadata")
    return found


def _name_of(body: Object) -> Name:
    metadata = _metadata(body)
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _version_of(body: Object) -> str:
    return str(_metadata(body).get("resourceVersion") or "")


def _ends_list(body: Object) -> bool:
    annotations = _metadata(body).get("annotations")
    return isinstance(annotations, dict) and annotations.get(_END_OF_LIST) == "true"
