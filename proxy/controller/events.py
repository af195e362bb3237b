"""What the controller has told as Kubernetes Events: ejections and their ends on Pod and Service, refused objects on
themselves, the end of a certificate on the Gateway. Only in a cluster; nothing waits for it.

Every replica tells what it sees. That each thing is told once per fleet is `proxy.kubernetes.api.events`'s part, by
names that are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping

from proxy.fleet.sightings import AGAIN_MS, Sighting, Sightings
from proxy.ipc.snapshot import ClusterForm
from proxy.kubernetes.api.events import Notice, Subject
from proxy.kubernetes.source import kinds
from proxy.kubernetes.source.source import Id

EJECTED = "EndpointEjected"
RETURNED = "EndpointReturned"
REFUSED = "Refused"
CERTIFICATE_ENDING = "CertificateEnding"
CERTIFICATE_EXPIRED = "CertificateExpired"

Tell = Callable[[Notice], None]


class Events:
    """`gateway`: "namespace/name"; `replica`: our name."""

    def __init__(self, tell: Tell, sightings: Sightings, gateway: str, replica: str) -> None:
        self._tell = tell
        self._sightings = sightings
        self._gateway = gateway
        self._replica = replica
        self._refused: Mapping[Hashable, str] = {}
        self._told: dict[Hashable, tuple[str, int]] = {}
        """What was told of refused objects, and when."""

    def refused(self, refused: Mapping[Hashable, str]) -> None:
        """What is wrong with which objects now, by their ids."""
        self._refused = refused

    def look(self, clusters: Mapping[str, ClusterForm], now_ms: int, now_s: float) -> None:
        """Tell what has become of endpoints and objects. `now_ms`: CLOCK_MONOTONIC; `now_s`: the wall clock."""
        # All of them first: the clusters may be others once somebody else has had a turn.
        for sighting in list(self._sightings.look(clusters, now_ms, now_s)):
            for notice in notices_of(sighting, self._gateway):
                self._tell(notice)
        refused = self._refused
        for id in self._told.keys() - refused.keys():
            del self._told[id]
        for id, text in refused.items():
            known, at_ms = self._told.get(id, ("", 0))
            if known != text or now_ms - at_ms >= AGAIN_MS:
                self._told[id] = text, now_ms
                self._tell_refused(id, text)

    def _tell_refused(self, id: Hashable, text: str) -> None:
        if not isinstance(id, Id) or not id.namespace or id.resource not in kinds.BY_NAME:
            return  # an Event stands in a namespace
        subject = Subject(kinds.BY_NAME[id.resource], id.namespace, id.name)
        # The text is the same for all replicas; told again, it is counted.
        self._tell(Notice(subject, REFUSED, f"Waypoint {self._gateway} cannot use it: {text}", text))

    def certificate(self, text: str, expired: bool) -> None:
        """Our certificate is near its end, or past it. Of a fleet whose certificates end together one tells."""
        namespace, _, name = self._gateway.partition("/")
        reason = CERTIFICATE_EXPIRED if expired else CERTIFICATE_ENDING
        subject = Subject(kinds.GATEWAYS, namespace, name)
        self._tell(Notice(subject, reason, f"Replica {self._replica}: {text}", reason))


def notices_of(sighting: Sighting, gateway: str) -> Iterator[Notice]:
    """For the Pod, if it is one, and for the Service."""
    service, _, port = sighting.cluster.rpartition(":")
    namespace, _, name = service.partition("/")
    reason = EJECTED if sighting.out else RETURNED
    verb = "gets no traffic" if sighting.out else "gets traffic again"
    joint = " " if sighting.out else ": "
    if sighting.workload:
        text = f"It {verb} of {service}:{port} through waypoint {gateway}{joint}{sighting.text}"
        pod = Subject(kinds.PODS, namespace, sighting.workload)
        yield Notice(pod, reason, text, f"{sighting.address} {sighting.occurrence}", sighting.out)
    who = f"{sighting.workload} ({sighting.address})" if sighting.workload else sighting.address
    text = f"Endpoint {who} {verb} of port {port} through waypoint {gateway}{joint}{sighting.text}"
    if "." in name:
        return  # a host of a ServiceEntry: its clusters are called by the host, not by the object
    subject = Subject(kinds.SERVICES, namespace, name)
    yield Notice(subject, reason, text, f"{sighting.address} {sighting.occurrence}", sighting.out)
