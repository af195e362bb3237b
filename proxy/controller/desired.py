"""What a controller wants, out of what it knows: which sockets to have, what to publish, what to say. Pure.

Asked again after everything that happens (a reading, certificates, an answer of the arbiter's); whoever applies the
answer (controller.py) need not know what has changed. The last good configuration stays in force whatever is wrong
with a newer one.
"""

import logging
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy import addresses
from proxy.identity.certificates import HBONE, faults_of
from proxy.ipc.snapshot import CredentialForm, TlsForm
from proxy.mesh.model import Cluster, Listener, Snapshot


@dataclass(frozen=True, slots=True)
class Site:
    """What the settings say, for good: where listeners are opened, and the setting that says where certificates are."""

    bind: str
    certified_by: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the manifests, for the `number`-th time."""

    number: int = 0
    spoken: int = 0  # counts those whose lines are said again: a cluster's changes are too many for that
    starting: bool = False  # it is the first of a replica that is just starting, and will stop if there is a fault
    in_force: int = 0  # the snapshot that workers had when it was read
    valid: bool = False  # there has been a good one: without a Gateway, `model` may be None all the same
    model: Snapshot | None = None  # the last good one
    reason: str = ""  # why there is none
    mended: bool = False  # the one before had faults, and this one has none
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificates and keys in force, and what is wrong with newer ones."""

    tls: TlsForm | None = None
    problems: tuple[str, ...] = ()
    waiting: bool = False  # they only say that there has been no answer yet
    credentials: Mapping[str, CredentialForm] = field(default_factory=dict)  # for TLS to endpoints
    keys: Mapping[str, str] = field(default_factory=dict)  # of those who issue tokens


@dataclass(frozen=True, slots=True)
class Bound:
    """Listening sockets by address, as the arbiter has answered; `asked`: not yet."""

    open: Set[str]
    asked: Set[str]
    refused: Set[str]


class Line(NamedTuple):
    """What is to be said, once. What is said with a `reading` is said again with the next."""

    level: int
    text: str
    reading: int = 0


@dataclass(frozen=True, slots=True)
class Publication:
    """What workers are to serve."""

    listeners: Mapping[str, Listener]  # by address
    clusters: Mapping[str, Cluster]
    tls: TlsForm | None
    credentials: Mapping[str, CredentialForm]
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Desired:
    """`answer` is what the arbiter waits to hear of the first reading: "loaded" or "refused" ("": nothing).

    `sockets` None: leave them as they are. `publish` None: nothing now, since the arbiter still has to answer, or
    nothing good was ever read.
    """

    answer: str
    sockets: Set[str] | None
    publish: Publication | None
    faults: tuple[str, ...]  # why some listeners are not served; the others are
    lines: tuple[Line, ...]


def desired(site: Site, reading: Reading, certified: Certified, bound: Bound) -> Desired:
    """What follows from what is known now."""
    answer = ("refused" if reading.faults else "loaded") if reading.starting else ""
    lines = tuple(_lines_of(reading, site))
    if not reading.valid:
        return Desired(answer, None, None, (), lines)
    listeners = reading.model.listeners if reading.model else ()
    faults = faults_of(listeners, site.certified_by, () if certified.tls else certified.problems)
    served = {
        addresses.join(site.bind, each.port): each for each in listeners if each.protocol != HBONE or certified.tls
    }
    waiting = bound.asked or served.keys() - bound.open - bound.refused
    return Desired(
        answer=answer,
        sockets=served.keys(),
        publish=None if waiting else _publication(reading.model, served, bound, certified),
        faults=faults,
        lines=(*lines, *(Line(logging.INFO if certified.waiting else logging.ERROR, fault) for fault in faults)),
    )


def _publication(
    model: Snapshot | None, served: Mapping[str, Listener], bound: Bound, certified: Certified
) -> Publication:
    listeners = {address: each for address, each in served.items() if address in bound.open}
    clusters = model.clusters if model else {}
    return Publication(listeners, clusters, certified.tls, certified.credentials, certified.keys)


def _lines_of(reading: Reading, site: Site) -> Iterator[Line]:
    for warning in reading.warnings:
        yield Line(logging.WARNING, warning, reading.spoken)
    for fault in reading.faults:
        yield Line(logging.ERROR, fault, reading.spoken)
    if reading.faults:
        if reading.in_force:
            yield Line(logging.ERROR, f"keeping snapshot {reading.in_force} until that is mended", reading.spoken)
        return
    if reading.mended:
        yield Line(logging.INFO, "the manifests are right again, and in force", reading.number)
    if reading.reason:
        yield Line(logging.WARNING, f"not ready: {reading.reason}", reading.spoken)
    if reading.model and not site.certified_by and (captured := _captured(reading.model)):
        text = f"{captured} captured endpoints are reached in clear text, not over HBONE: that needs --tls-dir or --ca"
        yield Line(logging.WARNING, text, reading.spoken)


def _captured(model: Snapshot) -> int:
    """Without an identity of our own there are no tunnels, and captured endpoints have to do with plain TCP."""
    return len({each.ip for cluster in model.clusters.values() for each in cluster.endpoints if each.hbone})
