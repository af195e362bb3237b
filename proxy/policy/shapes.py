"""The structures and numbers of facts.pxd as Python knows them: decisions are written in these words, checked against
them, and interpreted on them.

The same one for one (tests/unit/policy/test_shapes.py). Pure data; the request path has the C ones.
"""

from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass

# what of a request says where it goes
NOWHERE, BY_TARGET, BY_HOST = range(3)

# how an attempt ended
ANSWERED, CONNECTED, CUT = range(3)
SHORT_OF, NOT_CONNECTED, CLOSED, RESET, REFUSED, OVERDUE = range(3, 9)
NOT_HTTP, MALFORMED, SILENT, ABANDONED, CLIENT_FAILED, OVERFLOWED, EXPIRED = range(9, 16)

# what follows a failed attempt
NO, EXHAUSTED, ANOTHER, SAME = range(4)

# what an attempt says about its endpoint
NOTHING, SUCCESS, EXTERNAL_FAILURE, LOCAL_FAILURE = range(4)

# why it failed; a status of HTTP is its own number
UNKNOWN, TUNNEL_STATUS, GRPC_STATUS = 0, 1000, 2000
CONNECTION_REFUSED, UNREACHABLE, CONNECT_TIMEOUT, TLS_FAILED = range(3000, 3004)
TUNNEL_RESET, CONNECTION_RESET, STREAM_ENDED, NO_PROTOCOL = range(3004, 3008)
BAD_ANSWER, UNANSWERED, LEFT_WAITING, SHORTAGE = range(3008, 3012)

# the form in which paths are compared and forwarded
PATHS_NORMAL, SLASHES_MERGED, SLASHES_DECODED, PATHS_KEPT = range(4)

# who gets in: what a decision says besides the number of the rule that denies
ALLOWED, DENIED_BY_NONE = -1, -2
# ... what a term is about
OF_IDENTITY, OF_TRUST_DOMAIN, OF_WORKLOAD, OF_HOST, OF_METHOD, OF_PATH, TEXTS = range(7)
OF_HEADER, OF_PORT, OF_SOURCE, OF_DESTINATION, OF_CLAIM = range(7, 12)
# ... how a text is to be
TEXT_IS, TEXT_STARTS, TEXT_ENDS, TEXT_LIKE, TEXT_HAS, TEXT_IS_THERE, TEXT_FOLLOWS = range(7)

# which rule of a frontend's routes: what a condition is about
ABOUT_PATH, ABOUT_METHOD, ABOUT_AUTHORITY, ABOUT_SCHEME, ABOUT_NAMESPACE, WHOLE_QUERY, WHOLES = range(7)
ABOUT_QUERY, ABOUT_HEADER, ABOUT_CLAIM = range(7, 10)
# ... how a text is to be
COMPARE_IS, COMPARE_STARTS, COMPARE_SEGMENTS, COMPARE_LIKE, COMPARE_IS_THERE = range(5)

# ... and how a few of many matches are found
HASH_BEGIN, HASH_PRIME, MOST_RANGES, FEW_MATCHES = 5381, 16777619, 16, 8


@dataclass
class Facts:
    """What a decision may know of a request."""

    tunnelled: bool
    connect: bool


@dataclass
class View:
    """The endpoints of a cluster, by position."""

    count: int
    present: int
    members: Sequence[int]
    rank: Sequence[int]
    tried: Sequence[int]
    weights: Sequence[int] = ()
    sums: Sequence[int] = ()


@dataclass
class Groups:
    """Endpoints in groups."""

    count: int
    sizes: Sequence[int]
    present: Sequence[int]
    weights: Sequence[int]
    loads: MutableSequence[int]
    panicking: MutableSequence[int]


@dataclass
class RetryLimit:
    """How many retries a cluster may have at once."""

    retries: int
    budgeted: bool = False
    budget: int = 0
    budget_min: int = 0


@dataclass
class RateLimit:
    """How many requests in a time."""

    interval: int
    burst: int


@dataclass
class Ending:
    """How an attempt ended."""

    how: int
    status: int = 0
    grpc: int = -1
    sent: bool = False
    repeatable: bool = False
    pooled: bool = False
    answered: bool = False
    waits: bool = False
    retries: int = 0
    untried: int = 0
    waited: int = 0
    trouble: int = 0
    whole: bool = False
    limited: bool = False


@dataclass
class RetryRule:
    """How often a request may be tried again, and when."""

    retries: int
    attempt: int = 0
    pause: int = 0
    longest: int = 0
    least: int = 0
    named: bool = False
    statuses: Sequence[int] = ()
    grpc: int = 0
    resets: bool = False


@dataclass
class OutlierRule:
    """What counts against an endpoint."""

    abandoned: int = 0
    listed: bool = False
    failing: Sequence[int] = ()


@dataclass
class Text:
    """Octets; `length` -1: it is absent."""

    at: bytes
    length: int


@dataclass
class Line:
    """One of a header that some term names, or a value of a claim."""

    header: int
    at: bytes
    length: int


@dataclass
class Asked:
    """What a decision about access may know of a request."""

    texts: Sequence[Text]
    lines: Sequence[Line]
    line_count: int
    claims: Sequence[Line]
    claim_count: int
    source: bytes
    destination: bytes
    port: int


@dataclass
class Part:
    """Of those of the next kind."""

    first: int
    count: int


@dataclass
class Term:
    """A fact has one of its values, or none."""

    negated: bool
    first: int
    count: int


@dataclass
class Value:
    """One of a term's."""

    fact: int
    header: int
    op: int
    text: bytes
    length: int
    number: int


@dataclass
class Access:
    """AuthorizationPolicies of one cluster."""

    rules: Sequence[Part]
    denying: int
    rule_count: int
    limited: bool
    clauses: Sequence[Part]
    alternatives: Sequence[Part]
    terms: Sequence[Term]
    values: Sequence[Value]


@dataclass
class Presented:
    """What a request has that routes go by."""

    texts: Sequence[Text]
    lines: Sequence[Line]
    line_count: int
    claims: Sequence[Line]
    claim_count: int


@dataclass
class Condition:
    """One of a match's."""

    about: int
    compare: int
    negated: bool
    fold: bool
    header: int
    name: bytes
    name_length: int
    text: bytes
    length: int


@dataclass
class Match:
    """All its conditions hold."""

    rule: int
    first: int
    count: int
    early: int


@dataclass
class Bucket:
    """Matches of paths that begin alike."""

    key: int
    first: int
    count: int


@dataclass
class Routing:
    """The routes of one frontend."""

    matches: Sequence[Match]
    count: int
    conditions: Sequence[Condition]
    buckets: Sequence[Bucket]
    mask: int
    members: Sequence[int]
    anywhere: int


@dataclass
class Walk:
    """Which matches are still to be looked at."""

    count: int
    at: MutableSequence[int]
    end: MutableSequence[int]


@dataclass
class Split:
    """The backends of a rule."""

    weights: Sequence[int]
    count: int
    total: int
