"""The form of routes between processes, a part of a snapshot's (snapshot.py). Decides nothing."""

from typing import NotRequired, TypedDict


class RetryForm(TypedDict):
    """`mesh.traffic.retries.RetryPolicy`. Times in ms, 0: without end."""

    codes: NotRequired[list[int]]
    on: NotRequired[list[str]]

    attempts: int
    attempt_ms: int
    timeout_ms: int
    pause_ms: int
    longest_pause_ms: int
    least_pause_ms: int


class ConditionForm(TypedDict):
    """`mesh.traffic.routing.Condition`; `part` and `op` by the values of these enumerations."""

    part: str
    op: str
    text: str
    name: str
    negated: bool
    fold: bool


class RouteMatchForm(TypedDict):
    """All conditions hold; then the routing's rule of that index."""

    rule: int
    conditions: list[ConditionForm]


class HeaderEditsForm(TypedDict, total=False):
    """Names in lower case."""

    set: list[tuple[bytes, bytes]]
    add: list[tuple[bytes, bytes]]
    remove: list[bytes]


class PathRewriteForm(TypedDict):
    """`op`: "prefix", "string", "full", "like"."""

    op: str
    text: str
    matched: str


class RewriteForm(TypedDict, total=False):
    """Of what an endpoint is sent; what is missing stays."""

    host: str
    path: PathRewriteForm


class RedirectForm(TypedDict):
    """`mesh.traffic.routing.Redirect`."""

    status: int
    scheme: str
    host: str
    port: int
    path: PathRewriteForm | None
    own_port: int
    own_scheme: str


class DirectForm(TypedDict):
    """`mesh.traffic.routing.DirectResponse`."""

    status: int
    body: bytes
    grpc_status: int
    details: str


class BackendForm(TypedDict):
    """`mesh.traffic.routing.Backend`; what is missing is not asked for."""

    cluster: str
    weight: int
    status: int
    request: NotRequired[HeaderEditsForm]
    response: NotRequired[HeaderEditsForm]
    rewrite: NotRequired[RewriteForm]
    redirect: NotRequired[RedirectForm]


class MirrorForm(TypedDict):
    """`mesh.traffic.routing.Mirror`."""

    cluster: str
    numerator: int
    denominator: int


class CorsForm(TypedDict):
    """`mesh.traffic.routing.Cors`; origins that are equal, and regular expressions of them."""

    exact: list[str]
    like: list[str]
    methods: list[str]
    headers: list[str]
    expose: list[str]
    credentials: bool
    max_age_s: int
    forward_unmatched: bool


class FaultInjectionForm(TypedDict):
    """`mesh.traffic.routing.FaultInjection`."""

    delay_ms: int
    delay_ppm: int
    abort_status: int
    abort_grpc: int
    abort_ppm: int


class PersistenceForm(TypedDict):
    """`mesh.traffic.routing.Persistence`."""

    name: str
    header: bool
    lifetime_s: int
    absolute_s: int
    idle_s: int
    paths: list[str]  # what the rule's matches begin with


class RouteRuleForm(TypedDict):
    """`mesh.traffic.routing.RouteRule`; what is missing is not asked for."""

    name: str
    backends: list[BackendForm]
    retry: NotRequired[RetryForm]  # what differs from the default
    redirect: NotRequired[RedirectForm]
    direct: NotRequired[DirectForm]
    request: NotRequired[HeaderEditsForm]
    response: NotRequired[HeaderEditsForm]
    rewrite: NotRequired[RewriteForm]
    mirrors: NotRequired[list[MirrorForm]]
    cors: NotRequired[CorsForm]
    fault: NotRequired[FaultInjectionForm]
    persistence: NotRequired[PersistenceForm]


class RoutingForm(TypedDict):
    """`mesh.traffic.routing.Routing`: the first match that fits counts; none: 404."""

    matches: list[RouteMatchForm]
    rules: list[RouteRuleForm]
