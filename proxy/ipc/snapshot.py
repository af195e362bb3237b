"""The form of a snapshot between processes: what the controller says in a body, and workers read. One constructor, one
version, for both; a key that is misspelt is an error of mypy's. Decides nothing, and imports no process and no room.

A body says what is new since the number that its reader has, or everything (`full`). It goes to workers, and to the
next controller (proxy/controller/keeping.py).
A slot is an index into the scoreboard, see `proxy.controller.slots`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypedDict

import msgpack

from proxy.ipc.routing import RetryForm, RoutingForm

VERSION = 6
"""Grows with every change of the form. A process that was started before an upgrade, and one that was started after it,
find out by it that they do not understand each other."""


class OtherVersion(Exception):
    """The body was made by a waypointd whose bodies have another form."""


class SuccessRateForm(TypedDict):
    """`traffic.outlier.SuccessRate`."""

    minimum_hosts: int
    request_volume: int
    stdev_factor: int
    enforcing: int


class FailurePercentageForm(TypedDict):
    """`traffic.outlier.FailurePercentage`."""

    threshold: int
    minimum_hosts: int
    request_volume: int
    enforcing: int


class OutlierForm(TypedDict):
    """`model.OutlierDetection`."""

    consecutive_5xx: int
    interval_ms: int
    base_ejection_ms: int
    max_ejection_percent: int
    min_health_percent: int
    http_error_codes: list[int]  # 100..599; none: all of 5xx
    probe: bool
    local_origin_quorum: int
    consecutive_gateway: int
    split_local_origin: bool
    consecutive_local_origin: int  # where they are split
    success_rate: SuccessRateForm | None
    failure_percentage: FailurePercentageForm | None


class HashForm(TypedDict):
    """What of a request is hashed. `kind`: "header", "cookie", "query", "source_ip"; `name` of the first three.
    `set_cookie` is what follows the value of a cookie that is missing, "; Path=/; HttpOnly"; None: it is not set."""

    kind: str
    name: str
    set_cookie: str | None


class GroupsForm(TypedDict):
    """`model.Spread`: endpoints in groups, which stand one behind the other. Without `weights` (an empty list) the
    first group gets what it can take, and so on. `names`: what the endpoints of each have in common, for people."""

    sizes: list[int]
    weights: list[int]
    names: list[str]


class WarmupForm(TypedDict):
    """`warmup`. `joined_ms`: when each endpoint became ready, in ms since 1970; 0: nothing says so."""

    window_ms: int
    least_percent: float
    aggression: float
    joined_ms: list[int]


class BalanceForm(TypedDict):
    """`loadBalancer` of the policy in force. `hash` and `table_size` are those of the algorithms by key."""

    algorithm: str  # "round_robin", "least_request", "random", "ring_hash", "maglev", "passthrough"
    table_size: int
    hash: NotRequired[HashForm]
    groups: NotRequired[GroupsForm]
    warmup: NotRequired[WarmupForm]


class ValueForm(TypedDict):
    """What `fact` ("identity", "trust_domain", "workload", "host", "method", "path", "header", "port",
    "source", "destination", "claim") has if it matches: a text that is as `op` says ("is", "starts", "ends", "like",
    "has", "is_there", "follows"), an address in the block `text`, the port `number`. `header`: its name, in lower case,
    or the claim's, as `when` has it."""

    fact: str
    op: str
    text: str
    number: int
    header: str


class TermForm(TypedDict):
    """One of the values, or none of them."""

    negated: bool
    values: list[ValueForm]


class AccessRuleForm(TypedDict):
    """All clauses match; of each one of its alternatives, of that all terms. `name` is what the log calls it."""

    name: str
    clauses: list[list[list[TermForm]]]


class AccessForm(TypedDict):
    """`model.Cluster.access`, for requests or for connections that carry none. `limited`: one of `allow` must match."""

    deny: list[AccessRuleForm]
    allow: list[AccessRuleForm]
    limited: bool


class ShadowForm(TypedDict, total=False):
    """`audit`: its rules to deny are those that audit; `dry_run`: who would get in."""

    audit: AccessForm
    dry_run: AccessForm


class ShadowsForm(TypedDict):
    """`model.Cluster.shadows`, for requests or for connections that carry none."""

    http: ShadowForm
    tcp: ShadowForm


class TokenRuleForm(TypedDict):
    """`mesh.traffic.tokens.JwtRule`. `keys` is a key of a body's `keys`, `fetched` whether they can be again. `places`:
    where tokens are, each a kind ("header", "param", "cookie"), a name and what stands before the token; `claims`:
    header and claim of each."""

    issuer: str
    audiences: list[str]
    keys: str
    fetched: bool
    places: list[tuple[str, str, str]]
    payload: str  # the header that it goes into, or ""
    claims: list[tuple[str, str]]
    forward: bool  # the token itself
    spaced: list[str]
    required: bool


class RateLimitForm(TypedDict):
    """`traffic.rate_limit.RateLimit`. `id`: a number that all replicas have for this limit of this cluster, and for no
    other; `text` is what people know it by. `key`: "none", "header", "path", "identity"; `header` of the second, in
    lower case."""

    id: int
    text: str
    interval_ns: int
    burst: int
    key: str
    header: str
    fleet: bool


class OriginationForm(TypedDict):
    """`tls` of the policy in force, where endpoints are sent TLS. `credential` is a key of a body's `credentials`; of
    `names` the endpoint's certificate must have one, if there are any."""

    credential: str
    sni: str
    names: list[str]


class CredentialForm(TypedDict):
    """Our certificate for endpoints, its key, whom endpoints are verified against, and who is revoked: PEM, or b"".
    Without `roots` it is the system's store. `problem`: why there is nothing that can be used, or ""."""

    chain: bytes
    key: bytes
    roots: bytes
    crl: bytes
    verifies: bool
    serving: bool  # it is shown to clients of a listener
    problem: str


class PoolForm(TypedDict, total=False):
    """`connectionPool` and `retryBudget` of the policy in force, as far as they say something. Times in ms."""

    connections: int  # at once, as the following three
    pending: int
    requests: int
    retries: int
    budget_percent: float  # instead of `retries`, with ...
    budget_min: int
    budget_interval_ms: int  # it is a part of the requests of so long, without it of those that there are
    fleet: bool  # those five are for all replicas together
    idle_ms: int  # a connection that waits for a request, 0: for ever
    bytes_idle_ms: int  # the same of one that carries bytes
    duration_ms: int
    requests_per_connection: int
    streams: int  # of an HTTP/2 connection, at once
    ping_ms: int  # silence on one before a PING, with ...
    pong_ms: int  # ... that after it
    keepalive: list[int]  # of TCP: probes, seconds before the first, and between two; 0: as without a rule


ProfileForm = list[str]
"""`model.Profile`: its fields, in their order."""


class EndpointForm(TypedDict):
    """With `hbone` it is reached through a tunnel to port 15008 of its ip; `identity` is "" or what its certificate
    must say after one of the trust domains, "ns/httpbin/sa/in-ambient". `profile` is an index into its cluster's
    `profiles`, -1: there is none. These may change while the rest stays."""

    ip: str
    port: int
    workload: str
    hbone: bool
    identity: str
    profile: int
    weight: int
    slot: int


class ClusterForm(TypedDict):
    """`model.Cluster`, with its slot."""

    name: str
    slot: int
    envoy_name: str
    authority: str
    connect_timeout_ms: int
    abandoned_ms: int
    closed: str
    outlier: OutlierForm | None
    balance: BalanceForm
    origination: OriginationForm | None
    proxy_protocol: int  # its version, which connections to endpoints begin with; 0: none
    pool: PoolForm
    retry: RetryForm
    destination_rule: str
    protocol: str  # "http", "http2", "tcp", "undeclared"
    http2: str  # "always", "never", "as_client": whether endpoints are sent it
    profiles: list[ProfileForm]
    access: NotRequired[AccessForm]  # of requests ...
    access_tcp: NotRequired[AccessForm]  # ... and of connections
    shadows: NotRequired[ShadowsForm]  # policies that have no say
    rate_limits: NotRequired[list[RateLimitForm]]  # of requests, ...
    route_limits: NotRequired[dict[str, list[RateLimitForm]]]  # ... and of those for rules of routes, by rule
    routing: NotRequired[RoutingForm]  # where its requests go instead
    tokens: NotRequired[list[TokenRuleForm]]
    tunnel: NotRequired[str]  # "host:port", which endpoints are asked for on TCP connections, by CONNECT
    endpoints: Sequence[EndpointForm]
    names: NotRequired[dict[str, list[str]]]  # for the next controller: what DNS has answered for host names


RoutesForm = dict[str, list[bytes]]
"""`model.Routes`: the clusters of one Service, each with the names that select it, as a request has them."""


def limits_of(form: ClusterForm) -> list[RateLimitForm]:
    """The rate limits of a cluster and of rules of its routes, each once: the rules of one route have the same."""
    of_routes = (each for limits in form.get("route_limits", {}).values() for each in limits)
    return list({each["id"]: each for each in (*form.get("rate_limits", ()), *of_routes)}.values())


class TerminationForm(TypedDict):
    """`model.Termination`. `credentials` are keys of a body's."""

    hostname: str
    credentials: list[str]


class ListenerForm(TypedDict):
    """A listener, and what is new of what it reaches: `services` that changed, `removed` ones; all of it if `full`."""

    name: str
    address: str
    protocol: str  # "HTTP", "HTTPS", "HBONE"
    full: bool
    services: dict[str, RoutesForm]
    removed: list[str]
    tls: NotRequired[list[TerminationForm]]  # of HTTPS, the listeners of the port


class TlsForm(TypedDict):
    """Certificates and key, PEM; the trust domains whose peers are accepted, ours first."""

    chain: bytes
    key: bytes
    roots: bytes
    trust_domains: list[str]


class Body(TypedDict):
    """`listeners` are all there are. `clusters` and `removed` say what is new since the number the reader has; with
    `full`, there are no others. Names in a listener are those of clusters in the same body or an earlier one.

    Without `tls` the certificates are those of before, with None there are none. `credentials` are all there are for
    TLS to endpoints and of clients, `keys` all that tokens are verified with; without, those of before. Of keys there
    is the set as its issuer has it (RFC 7517), "" if nobody knows it.
    """

    version: int
    number: int
    full: bool
    clusters: list[ClusterForm]
    removed: list[str]
    listeners: list[ListenerForm]
    tls: NotRequired[TlsForm | None]
    credentials: NotRequired[dict[str, CredentialForm]]
    keys: NotRequired[dict[str, str]]


def body(
    number: int,
    full: bool,
    clusters: Sequence[ClusterForm],
    removed: Sequence[str],
    listeners: Sequence[ListenerForm],
) -> Body:
    """The one place where a body is made; `tls`, `credentials` and `keys` are put into it where they are new."""
    return Body(
        version=VERSION,
        number=number,
        full=full,
        clusters=list(clusters),
        removed=list(removed),
        listeners=list(listeners),
    )


def pack(made: Body) -> bytes:
    """As it travels: sequences of whatever kind are lists there."""
    packed: bytes = msgpack.packb(made, default=list)
    return packed


def unpack(packed: bytes) -> Body:
    """What was packed. Raises OtherVersion."""
    return _checked(msgpack.unpackb(packed))


def unpack_all(packed: bytes) -> Iterator[Body]:
    """Bodies one behind the other; one that was not finished when its writer died is left out. Raises OtherVersion."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(packed) or 1)
    unpacker.feed(packed)
    return map(_checked, unpacker)


def _checked(found: Any) -> Body:
    version = found.get("version") if isinstance(found, dict) else None
    if version != VERSION:
        raise OtherVersion(
            f"it has the form of another version of waypointd ({version or 'none'}, here {VERSION}): "
            "waypointd was upgraded while it ran; restart it as a whole"
        )
    made: Body = found  # what has our version was made by `body`
    return made
