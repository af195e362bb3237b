"""Kubernetes Events (core/v1): what `kubectl describe` says about an object, written without ever being waited for.

    recorder.tell(Notice(subject, "EndpointEjected", "5 consecutive failures ...", occurrence="12@ab34"))

An Event is named by its object's uid, its reason and its occurrence. Who else tells of the same, another replica or a
new process, makes the same name, is answered 409, and nothing is told twice: the API server is all the coordination a
fleet needs. What we made ourselves and tell again is counted (`count`, `lastTimestamp`).

Kept from flooding as by client-go's spam filter: of one object 25 at once, and one in 5 minutes after that. A server
that is away is tried again; what is too old by then, or too much, is left out and counted. Whatever fails is logged
once.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.kubernetes.api.client import MERGE, Client, Object
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.pace import Pace
from proxy.kubernetes.api.resources import Resource

logger = logging.getLogger("kubernetes")

EVENTS = Resource("", "v1", "events", "Event")
COMPONENT = "waypointd"
BURST = 25
REFILL_S = 300.0
MOST_OBJECTS = 4096
MOST_WAITING = 1000
MOST_OWN = 1000
LATEST_S = 600.0
"""An Event that could not be written for so long says nothing that anybody still waits for."""
LONGEST_MESSAGE = 1024
_LONGEST_NAME = 200
_ENDING = "being terminated"
_LATER = (0, 401, 429)
"""Statuses, beside the server's own 5xx, after which the same request may succeed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that an Event is about."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told. `occurrence` is the same for whoever tells of the same, and another for the next time."""

    subject: Subject
    reason: str
    message: str
    occurrence: str
    warning: bool = True


class SpamFilter:
    """Whether an object may have another Event now: a bucket of BURST, refilled by one every REFILL_S."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Subject, tuple[float, float]] = OrderedDict()
        """What is left, and when that was; the object told of longest ago first."""

    def lets(self, subject: Subject, now: float) -> bool:
        left, at = self._buckets.pop(subject, (float(BURST), now))
        left = min(float(BURST), left + (now - at) / REFILL_S)
        self._buckets[subject] = (left - 1 if left >= 1 else left), now
        if len(self._buckets) > MOST_OBJECTS:
            self._buckets.popitem(last=False)
        return left >= 1


class Recorder:
    """Writes Events in a thread of its own, a greenlet where the process has been patched.

    `instance`: what the replica is called. `clock`: the wall clock.
    """

    def __init__(
        self, client: Client, instance: str, clock: Callable[[], float] = time.time, pace: Pace | None = None
    ) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._pace = pace or Pace(0.5)
        self._filter = SpamFilter()
        self._waiting: queue.Queue[tuple[Notice, float]] = queue.Queue(MOST_WAITING)
        self._own: OrderedDict[tuple[str, str], int] = OrderedDict()
        """How often the Events were told that we have made, by namespace and name."""
        self._said: set[str] = set()
        self.left_out = 0
        """Notices that came to nothing: too many, too old, or refused."""

    def start(self) -> None:
        """Begin to write."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def tell(self, notice: Notice) -> None:
        """Have it written some time. Neither waits nor fails. From one thread at a time."""
        now = self._clock()
        if not self._filter.lets(notice.subject, now):
            self._leave_out(f"{notice.subject}: has had {BURST} events; more are told only every {REFILL_S:g} s")
            return
        try:
            self._waiting.put_nowait((notice, now))
        except queue.Full:
            self._leave_out(f"{MOST_WAITING} events wait to be written; more are left out")

    def _run(self) -> None:
        while True:
            self.write(*self._waiting.get())

    # -- one event --------------------------------------------------------------------------------------------------

    def write(self, notice: Notice, at: float) -> None:
        """Write what was told at that time, and try until it makes no sense any more."""
        while True:
            try:
                self._write(notice, at)
            except ApiFault as fault:
                self._say(notice, fault)
                if not _may_succeed_later(fault) or self._clock() - at > LATEST_S:
                    self.left_out += 1
                    return
                time.sleep(self._pace.next(fault.retry_after_s))
            else:
                self._pace.reset()
                return

    def _write(self, notice: Notice, at: float) -> None:
        if (reference := self._reference(notice.subject)) is None:
            return
        name = name_of(notice, str(reference.get("uid") or ""))
        key = notice.subject.namespace, name
        if not (key in self._own and self._count(key, notice, at)):
            self._create(key, notice, reference, at)
        if self._said:
            self._said.clear()
            logger.info("events are written again")

    def _reference(self, subject: Subject) -> Object | None:
        """The object, with the uid by which `kubectl describe` looks; None if there is none."""
        place = subject.resource.path(subject.namespace, subject.name)
        reference = {
            "apiVersion": subject.resource.api_version,
            "kind": subject.resource.kind,
            "namespace": subject.namespace,
            "name": subject.name,
        }
        try:
            found = self._client.get(place).get("metadata") or {}
        except ApiFault as fault:
            if fault.not_found:
                return None
            if not fault.forbidden:
                raise
            return reference
        return reference | {name: found[name] for name in ("uid", "resourceVersion") if name in found}

    def _create(self, key: tuple[str, str], notice: Notice, reference: Object, at: float) -> None:
        """The Event, or nothing where somebody has told of it already."""
        body = event_of(notice, key[1], reference, self._instance, at)
        try:
            self._client.send("POST", EVENTS.path(key[0]), body)
        except ApiFault as fault:
            if not fault.conflict:
                raise
            return
        self._own[key] = 1
        if len(self._own) > MOST_OWN:
            self._own.popitem(last=False)

    def _count(self, key: tuple[str, str], notice: Notice, at: float) -> bool:
        """Whether there still was an Event to count: the API server forgets them after an hour."""
        change = {"count": self._own[key] + 1, "lastTimestamp": _stamp(at), "message": _cut(notice.message)}
        try:
            self._client.send("PATCH", EVENTS.path(*key), change, content_type=MERGE)
        except ApiFault as fault:
            if not fault.not_found:
                raise
            del self._own[key]
            return False
        self._own[key] += 1
        return True

    # -- what is logged ---------------------------------------------------------------------------------------------

    def _leave_out(self, text: str) -> None:
        self.left_out += 1
        logger.debug("%s", text)

    def _say(self, notice: Notice, fault: ApiFault) -> None:
        """Once, until one was written again."""
        namespace = notice.subject.namespace
        if _ENDING in str(fault):
            return
        about = f"{fault.status} {namespace}" if fault.forbidden else str(fault.status)
        if about in self._said:
            return
        self._said.add(about)
        rule = f"; it takes the rule {rule_of(namespace)}" if fault.forbidden else ""
        logger.warning("no event can be written about %s: %s%s; going on without", notice.subject, fault, rule)


def rule_of(namespace: str) -> str:
    """The rule of RBAC that allows Events, and where it has to stand."""
    return f'{{apiGroups: [""], resources: [events], verbs: [create, patch]}} in a Role of namespace {namespace}'


def name_of(notice: Notice, uid: str) -> str:
    """What the Event is called, whoever tells of it. `uid` of the object, "" where that cannot be known."""
    subject = notice.subject
    parts = (uid or str(subject), notice.reason, notice.occurrence)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return f"{subject.name[:_LONGEST_NAME].rstrip('-.')}.{digest}"


def event_of(notice: Notice, name: str, reference: Object, instance: str, at: float) -> Object:
    """The Event as the API takes it."""
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": name, "namespace": notice.subject.namespace},
        "involvedObject": reference,
        "reason": notice.reason,
        "message": _cut(notice.message),
        "type": "Warning" if notice.warning else "Normal",
        "count": 1,
        "firstTimestamp": _stamp(at),
        "lastTimestamp": _stamp(at),
        "source": {"component": COMPONENT, "host": instance},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
    }


def _may_succeed_later(fault: ApiFault) -> bool:
    return fault.status in _LATER or fault.status >= 500


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 3]}..."


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
