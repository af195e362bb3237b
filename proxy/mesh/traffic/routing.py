"""Where requests for one frontend go, and what is done to them on the way: HTTPRoutes, GRPCRoutes and VirtualServices
in one shape. Only data; nothing here reads or decides.

A frontend is a Service's port, or a host name on a listener. Of its `matches`, which stand in the order of their
precedence, the first that fits a request names the rule; none: there is no route (404).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from proxy.mesh.traffic.rate_limit import RateLimit
from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy


class Op(Enum):
    """How a text is compared. SEGMENTS: it begins with these whole path segments; LIKE: all of it matches a regular
    expression (RE2)."""

    IS = "is"
    STARTS = "starts"
    SEGMENTS = "segments"
    LIKE = "like"
    IS_THERE = "is_there"


class Part(Enum):
    """What of a request a condition is about. NAMESPACE: the client's, by its identity; CLAIM: of a verified token."""

    PATH = "path"
    METHOD = "method"
    HEADER = "header"
    QUERY = "query"
    AUTHORITY = "authority"
    SCHEME = "scheme"
    NAMESPACE = "namespace"
    CLAIM = "claim"


@dataclass(frozen=True, slots=True)
class Condition:
    """`name`: the header's, in lower case, the query parameter's, the claim's path. `negated`: it must not hold, and
    what is missing counts as empty. `fold`: upper and lower case are the same."""

    part: Part
    op: Op
    text: str = ""
    name: str = ""
    negated: bool = False
    fold: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions hold. `rule` is an index into the routing's."""

    rule: int
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Names are in lower case. What is removed goes first; `set` takes the place of every line of its name, `add` comes
    behind those that are there."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


NO_EDITS = HeaderEdits()


class PathOp(Enum):
    """PREFIX: what the match's prefix matched is replaced, by segments; STRING: the same, as text (VirtualService);
    FULL: all of the path, the query stays; LIKE: what a regular expression matches (uriRegexRewrite)."""

    PREFIX = "prefix"
    STRING = "string"
    FULL = "full"
    LIKE = "like"


@dataclass(frozen=True, slots=True)
class PathRewrite:
    """`matched`: the prefix that is replaced, or the regular expression."""

    op: PathOp
    text: str
    matched: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Of what an endpoint is sent. `host` "" and `path` None: as it came."""

    host: str = ""
    path: PathRewrite | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """`scheme`, `host` "": the request's. `port` 0: that of the scheme if one is given, else `own_port`, the
    frontend's, which is asked with `own_scheme`."""

    status: int = 302
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: PathRewrite | None = None
    own_port: int = 0
    own_scheme: str = "http"


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """An answer of ours. gRPC is told `grpc_status`; -1: what the HTTP status stands for. `details`: for the log."""

    status: int
    body: bytes = b""
    grpc_status: int = -1
    details: str = "direct_response"


@dataclass(frozen=True, slots=True)
class Backend:
    """One of a rule's, with its share of the requests. `cluster` "": it is invalid, and its share gets `status`.
    `redirect`: instead of going there."""

    cluster: str
    weight: int = 1
    status: int = 500
    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    rewrite: Rewrite | None = None
    redirect: Redirect | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of `numerator` of `denominator` requests goes to a cluster, and nobody waits for the answer."""

    cluster: str
    numerator: int = 100
    denominator: int = 100


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins that are allowed. `like`: regular expressions for all of one; `exact` may hold "*"."""

    exact: tuple[str, ...] = ()
    like: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cors:
    """`methods`, `headers`: "*" stands for all. `forward_unmatched`: a preflight from another origin goes on to the
    endpoint; else it is answered here."""

    origins: Origins
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: int = 5
    forward_unmatched: bool = False


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """Parts are of a million requests. `abort_grpc` -1: the abort is an HTTP status."""

    delay_ms: int = 0
    delay_ppm: int = 0
    abort_status: int = 0
    abort_grpc: int = -1
    abort_ppm: int = 0


@dataclass(frozen=True, slots=True)
class Persistence:
    """Requests that carry it go to the endpoint that it names. `header`: it is one, else a cookie. `lifetime_s` 0: of a
    cookie that ends with the session; `idle_s`, `absolute_s` 0: without end."""

    name: str
    header: bool = False
    lifetime_s: int = 0
    absolute_s: int = 0
    idle_s: int = 0


@dataclass(frozen=True, slots=True)
class RouteRule:
    """`name`: for log and people, "HTTPRoute ns/name rule 0". A rule has backends, or answers itself (`redirect`,
    `direct`). A backend's edits come after the rule's. `rate_limits`: of all requests for rules of `route`, which is
    "HTTPRoute ns/name"."""

    name: str
    backends: tuple[Backend, ...] = ()
    redirect: Redirect | None = None
    direct: DirectResponse | None = None
    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    retries: RetryPolicy = DEFAULT_RETRIES
    fault: FaultInjection | None = None
    persistence: Persistence | None = None
    rate_limits: tuple[RateLimit, ...] = ()
    route: str = ""

    def under(self, limits: tuple[RateLimit, ...], route: str) -> RouteRule:
        """The same, of a route with these limits."""
        return replace(self, rate_limits=limits, route=route) if limits else self


@dataclass(frozen=True, slots=True)
class Routing:
    """Of one frontend."""

    matches: tuple[RouteMatch, ...]
    rules: tuple[RouteRule, ...]
