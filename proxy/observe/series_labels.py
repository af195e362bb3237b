"""The label sets of Istio's metrics: which labels there are, in which order, how a set is written on the scoreboard.
Pure.

Names, order and values: Envoy's istio_stats filter (contrib/istio/filters/http/istio_stats), at a waypoint. A set is
put together from what is known of three parties, each as a tuple of values in the order given here: the source, the
destination (the endpoint), and the Service that was asked for.
"""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

SOURCE = (
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
)
DESTINATION = (
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_cluster",
)
SERVICE = ("destination_service", "destination_service_name", "destination_service_namespace")

_AHEAD, _BEHIND = 5, 7  # of the destination's values: these stand before the Service's host, those up to here after it

OF_ANSWERS = ("response_code", "grpc_response_status")
_ENDING = ("response_flags", "connection_security_policy")
_PARTIES = (
    "reporter",
    *SOURCE,
    *DESTINATION[:_AHEAD],
    *SERVICE[:1],
    *DESTINATION[_AHEAD:_BEHIND],
    *SERVICE[1:],
    *DESTINATION[_BEHIND:],
    "request_protocol",
)
REQUEST_LABELS = (*_PARTIES, *OF_ANSWERS, *_ENDING)
STREAM_LABELS = (*_PARTIES, *_ENDING)
"""Of TCP connections and of messages, which have no code yet while they are counted."""

UNKNOWN = b"unknown"
LATEST = b"latest"
MUTUAL_TLS, PLAIN = b"mutual_tls", b"none"
MAX_VALUE = 253
_BETWEEN = b"\n"

Values = tuple[bytes, ...]

NO_SOURCE: Values = tuple(LATEST if name.endswith("_revision") else UNKNOWN for name in SOURCE)
NO_DESTINATION: Values = tuple(LATEST if name.endswith("_revision") else UNKNOWN for name in DESTINATION)
NO_SERVICE: Values = (UNKNOWN,) * len(SERVICE)


def joined(source: Values, destination: Values, service: Values, rest: Sequence[bytes]) -> bytes:
    """A set as one text; `rest`: request_protocol and what comes after it."""
    return _BETWEEN.join(
        (
            b"waypoint",
            *source,
            *destination[:_AHEAD],
            *service[:1],
            *destination[_AHEAD:_BEHIND],
            *service[1:],
            *destination[_BEHIND:],
            *rest,
        )
    )


def split(labels: bytes) -> list[str]:
    """The values of a set again, in the order of REQUEST_LABELS or STREAM_LABELS."""
    return labels.decode(errors="replace").split("\n")


def source_of(identity: bytes, baggage: bytes) -> Values:
    """What is known of a client: its namespace and principal by its certificate, which nobody can make up, the rest by
    the `baggage` of its ztunnel's CONNECT (W3C Baggage; ztunnel's src/baggage.rs has the keys). Each may be empty."""
    said = _members(baggage)
    namespace = _namespace(identity)
    workload = _first(said, *(f"k8s.{kind}.name" for kind in ("deployment", "cronjob", "job", "pod")))
    service, revision = said.get("service.name", b""), said.get("service.version", b"")
    return (
        workload or UNKNOWN,
        service or UNKNOWN,
        revision or LATEST,
        namespace or _clean(said.get("k8s.namespace.name", b"")) or UNKNOWN,
        _clean(identity) or UNKNOWN,
        said.get("app.name", service) or UNKNOWN,
        said.get("app.version", revision) or UNKNOWN,
        said.get("k8s.cluster.name", b"") or UNKNOWN,
    )


def source_at(profile: Sequence[str], identity: bytes, cluster_id: str) -> Values:
    """What is known of a client whose address is a workload's of this `profile` (ipc.snapshot)."""
    workload, namespace, app, version, service, revision = (_clean(each.encode()) for each in profile)
    return (
        workload or UNKNOWN,
        service or UNKNOWN,
        revision or LATEST,
        _namespace(identity) or namespace or UNKNOWN,
        _clean(identity) or UNKNOWN,
        app or UNKNOWN,
        version or UNKNOWN,
        _clean(cluster_id.encode()) or UNKNOWN,
    )


def destination_of(profile: Sequence[str], identity: str, trust_domain: str, cluster_id: str) -> Values:
    """What is known of an endpoint; `profile` and `identity` are those of ipc.snapshot, and may be empty."""
    workload, namespace, app, version, service, revision = profile or ("",) * 6
    principal = f"spiffe://{trust_domain}/{identity}" if identity and trust_domain else ""
    values = (workload, namespace, principal, app, version, service, revision, cluster_id)
    return tuple(_clean(value.encode()) or absent for value, absent in zip(values, NO_DESTINATION, strict=True))


def service_of(cluster: str, host: bytes) -> Values:
    """Of a cluster "namespace/name:port" and its Service's host name."""
    namespace, _, rest = cluster.partition("/")
    return _clean(host) or UNKNOWN, _clean(rest.rpartition(":")[0].encode()) or UNKNOWN, _clean(namespace.encode())


def _members(baggage: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for member in baggage.split(b","):
        name, _, value = member.partition(b";")[0].partition(b"=")
        found.setdefault(name.strip().decode("latin-1"), _clean(unquote_to_bytes(value.strip())))
    return found


def _first(said: dict[str, bytes], *names: str) -> bytes:
    return next((said[name] for name in names if said.get(name)), b"")


def _namespace(identity: bytes) -> bytes:
    """Of spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT."""
    parts = identity.split(b"/")
    return _clean(parts[4]) if len(parts) == 7 and parts[3] == b"ns" and parts[5] == b"sa" else b""


def _clean(value: bytes) -> bytes:
    """As a label may have it: others' text, on one line, of no more than MAX_VALUE bytes."""
    short = value[:MAX_VALUE].decode(errors="ignore")
    return (short if short.isprintable() else "".join(c if c.isprintable() else "?" for c in short)).encode()
