"""What the mesh is, as the rest of waypointd sees it: one immutable snapshot of listeners and clusters.

Only data and how it is written as text; nothing here reads or decides.
The words are those of ARCHITECTURE.md (endpoint, cluster, snapshot).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.addresses import join
from proxy.mesh.traffic.access import AccessPolicy
from proxy.mesh.traffic.connections import H2UpgradePolicy
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import UNGOVERNED, EffectivePolicy
from proxy.mesh.traffic.rate_limit import RateLimit
from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from proxy.mesh.traffic.routing import Routing
from proxy.mesh.traffic.security import Credential
from proxy.mesh.traffic.tokens import JwtRule


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose a workload is, in Istio's words for metrics: the Deployment, StatefulSet, ... that made it, and what its
    labels say. Empty: nothing says so."""

    workload: str
    namespace: str
    app: str = ""
    version: str = ""
    canonical_service: str = ""
    canonical_revision: str = ""


class Locality(NamedTuple):
    """Where a workload runs; "" where nothing says so."""

    region: str = ""
    zone: str = ""
    subzone: str = ""

    def __str__(self) -> str:
        return "/".join(self).rstrip("/") or "unknown"


NOWHERE = Locality()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One `ip:port` of a workload; `workload` is the Pod's name, "" when nothing names it.

    `hbone`: it is reached through a tunnel to port 15008 of `ip`. `identity` is what its certificate must say after the
    trust domain, "ns/httpbin/sa/in-ambient"; "" when its service account is not known. `weight`: its share beside the
    others', for algorithms that know of weights. `joined_ms`: when it became ready, in ms since 1970, as the API has it
    for every replica alike; 0 when nothing says so.
    """

    ip: str
    port: int
    workload: str
    hbone: bool = False
    identity: str = ""
    profile: Profile | None = None
    weight: int = 1
    locality: Locality = NOWHERE
    joined_ms: int = 0

    @property
    def address(self) -> str:
        """`10.10.0.16:8080`, or `[fd00::1]:8080` for IPv6."""
        return join(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints of a cluster that are alike as seen from here: how many, and what they have in common, for people.
    `weight`: its part of the requests beside the others' (`distribute`)."""

    size: int
    name: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """How the requests of a cluster are spread over groups of its endpoints, which stand one behind the other.

    `failover`: the first gets what it can take, and so on; else by weight. `why`: what asks for it, for people; `here`:
    where this replica is.
    """

    groups: tuple[Group, ...]
    failover: bool
    why: str
    here: Locality


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Service port: what requests are balanced over and what outlier state belongs to.

    `endpoints` are the ready ones in balancing order. `closed` is "" or the reason why every request gets 403.
    `access`: the policies that decide who gets in, by name; `shadows` those that are only counted and told.
    `rate_limits`: how many requests get in.
    `protocol` is what the port is declared to speak: "http", "http2", "tcp" or "undeclared" (a client's first bytes
    tell). `tokens`: by what requests' tokens are verified, by issuer. `spread` None: all endpoints are alike.
    `retries`: as routes are to say. `names` are the host names among its endpoints, each with the addresses that DNS
    has given for it.
    """

    name: str
    envoy_name: str
    authority: str
    endpoints: tuple[Endpoint, ...]
    policy: EffectivePolicy = UNGOVERNED
    closed: str = ""
    protocol: str = "http"
    access: tuple[AccessPolicy, ...] = ()
    tokens: tuple[JwtRule, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    spread: Spread | None = None
    retries: RetryPolicy = DEFAULT_RETRIES
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    routing: Routing | None = None
    shadows: tuple[AccessPolicy, ...] = ()

    @property
    def outlier(self) -> OutlierDetection | None:
        """When endpoints are ejected; None: never."""
        return self.policy.ejecting

    @property
    def connect_timeout_ms(self) -> int:
        """How long connecting to an endpoint may take."""
        return self.policy.connection_pool.tcp.connect_timeout_ms

    @property
    def abandoned_ms(self) -> int:
        """After how long a request that its client gives up counts as a failure; 0: never."""
        return self.policy.abandoned_ms

    @property
    def http2(self) -> str:
        """Whether endpoints are sent HTTP/2: "always", "never", or "as_client", who speaks it or not (Istio's
        shouldH2Upgrade, setUseDownstreamProtocol)."""
        pool = self.policy.connection_pool.http
        upgraded = pool.h2_upgrade_policy is H2UpgradePolicy.UPGRADE
        if pool.use_client_protocol or (self.protocol == "undeclared" and not upgraded):
            return "as_client"
        return "always" if upgraded or self.protocol == "http2" else "never"

    @property
    def destination_rule(self) -> str:
        """ "namespace/name" of the rule in force, or ""."""
        return self.policy.rule


Routes = Mapping[str, tuple[str, ...]]
"""How one Service is reached through one listener: its clusters in the order of its ports, each with the names that
select it. Such are Hosts, with and without port, on an HTTP listener, and CONNECT authorities, always with port, on an
HBONE listener; lower case. A cluster without any is reached by its endpoints' own addresses alone."""


@dataclass(frozen=True, slots=True)
class Termination:
    """A listener of HTTPS among those of a port, by its hostname, "" for any: the names of the credentials that clients
    of it may be shown. None: it is not served, and no other takes its place."""

    hostname: str
    credentials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """One port of the Gateway; `protocol` is "HTTP", "HTTPS" or "HBONE". `tls`: of HTTPS, the listeners of the port.

    `services`: what it may reach, by the Service's "namespace/name"; no name stands under two of them. An HBONE
    listener also takes the `ip:port` of every endpoint of these clusters; where several have it, the first does:
    Services in the order of their names, clusters in that of their ports.
    """

    name: str
    port: int
    protocol: str
    services: Mapping[str, Routes]
    tls: tuple[Termination, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole validated configuration of one Gateway ("namespace/name"). Not to be changed after it is built.

    What is the same as in the snapshot before may be the same object (Listener, Routes, Cluster): who compares two
    snapshots asks that first.
    """

    gateway: str
    listeners: tuple[Listener, ...]
    clusters: Mapping[str, Cluster]
    warnings: tuple[str, ...] = ()
    secrets: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    """By the name that a `credentialName` has, and by "namespace/name" those of listeners' certificates; what is in
    them, certificates and keys, by Kubernetes' names for it."""
    terminating: Mapping[str, tuple[Credential, str]] = field(default_factory=dict, repr=False)
    """The credentials that listeners show to clients, by name, each with where the first one names it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in the configuration, and where. `line` counts from 1 (0: the file as a whole).

    `object` is "namespace/name", or the name alone for what has no namespace. Empty parts are left out of the text.
    `together`: of several objects it is told once, with the names of all.
    """

    path: str
    line: int
    kind: str
    object: str
    field: str
    text: str
    together: bool = False

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        subject = f"{self.kind} {self.object}".strip()
        return printable(": ".join(part for part in (where, subject, self.field, self.text) if part))


def printable(text: str) -> str:
    """`text` on one line and without control characters: manifests are other people's text, and logs are lines."""
    return text if text.isprintable() else "".join(character if character.isprintable() else "?" for character in text)
