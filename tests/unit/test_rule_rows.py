"""Each row of the tables that say what a DestinationRule means (1.1 to 1.7, 2.1 to 2.6, 2.9, 3.1 to 3.4 and 4 of the
reference) has a test with its name: in the test's own, or in its id. Names are compared by letters and digits alone."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.rule_cases import CASES
from tests.unit.mesh import test_rules
from tests.unit.state import test_decide

COMPOSED = (test_rules, test_decide)
"""Where ids are put together."""
TESTS = Path(__file__).resolve().parents[1]

HTTP = (
    "http1MaxPendingRequests http2MaxRequests maxRequestsPerConnection maxRetries idleTimeout h2UpgradePolicy"
    " useClientProtocol maxConcurrentStreams http2KeepAlive"
)
ROWS: Mapping[str, tuple[str, ...]] = {
    "1.1": ("host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"),
    "1.2": (
        *("simple", "consistentHash key", "consistentHash algorithm", "localityLbSetting", "zoneAwareLbSetting"),
        *("warmup", "warmupDurationSecs"),
    ),
    "1.3": (
        *(f"tcp.{each}" for each in ["maxConnections", "connectTimeout", "maxConnectionDuration", "idleTimeout"]),
        "tcp.tcpKeepalive",
        *(f"http.{each}" for each in HTTP.split()),
    ),
    "1.4": (
        *("consecutive5xxErrors", "consecutiveGatewayErrors", "splitExternalLocalOriginErrors"),
        *("consecutiveLocalOriginFailures", "interval", "baseEjectionTime", "maxEjectionPercent"),
        *("minHealthPercent", "outlierDetectionHttpErrorCodes", "consecutiveErrors"),
    ),
    "1.5": ("tls", "portLevelSettings", "tunnel", "proxyProtocol", "retryBudget"),
    "1.6": (
        *("expand host", "1 namespace", "2 namespace", "3 namespace", "within one namespace", "consequence"),
        *("several rules", "differing exportTo", "user rule and gateway api backend policy"),
    ),
    "1.7": (
        *("port over top", "subset over", "subset with its own port entry", "hash lookup"),
        "outlier state scope",
    ),
    "2.1": (
        *("status 500..599", "any other final status", "1xx", "gRPC with grpc-status in headers", "connect refused"),
        *("timeout before headers", "circuit breaker overflow", "mirror responses"),
    ),
    "2.2": ("n 0 disables 5xx", "gateway threshold", "mean 90, stdev 20, threshold 52", "85 percent fail"),
    "2.3": tuple(f"{hosts} hosts, pct {pct}" for hosts in (1, 2, 3, 10) for pct in (10, 33, 34, 50, 66, 67, 100)),
    "2.4": (
        *("duration", "on un-eject", "decrease", "closed form", "cap overshoot", "host removed and added again"),
        *("success while ejected", "spread of the change"),
    ),
    "2.5": ("local origin feeds clocal only", "every stream start resets clocal"),
    "2.6": (
        *("endpoint answers 503", "connect refused", "route timeout", "accepted then closed before headers"),
        *("ztunnel answers CONNECT", "nothing on 15008", "all endpoints ejected, panic off", "retries used up"),
        "client left",
    ),
    "": tuple(f"W{number}" for number in range(1, 19)),
    "3.1": ("ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH"),
    "3.2": ("header", "cookie ttl unset", "cookie ttl 0s", "cookie ttl 3600s path", "source IP", "query parameter"),
    "3.3": (
        *("default failover", "failover from/to", "failoverPriority", "distribute", "enabled:false"),
        *("precedence", "trafficDistribution", "priority load", "locality load"),
    ),
    "3.4": ("the curve of a warm-up", "an ejection does not begin it again"),
    "4": (
        *("maxConnections", "http1MaxPendingRequests", "http2MaxRequests", "maxRetries", "retryBudget"),
        "waiting past the time of a request",
    ),
}
ELSEWHERE = {
    "4 maxRequestsPerConnection": "1.3 maxRequestsPerConnection",
    "4 idleTimeout": "1.3 http.idleTimeout",
    "4 connectTimeout": "1.3 tcp.connectTimeout",
    "2.6 circuit breaker": "2.1 circuit breaker overflow",
    "2.1 client went away first": "2.6 client left",
    "2.1 stream handed to a connection": "2.5 every stream start resets clocal",
}
"""Rows that are told in two tables: where the test has its name from."""


def plain(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


@cache
def named() -> str:
    """All names of tests, and what their ids are made of."""
    return "\n".join(map(plain, _names()))


def _names() -> Iterator[str]:
    yield from (case.id for case in CASES)
    for function in (each for module in COMPOSED for each in vars(module).values()):
        for mark in getattr(function, "pytestmark", ()):
            yield from (str(case.id) for case in mark.args[1] if getattr(case, "id", None))
    for path in TESTS.rglob("test_*.py"):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                section, *ids = re.sub(r"^test_", "", node.name), *_ids(node)
                yield section
                yield from (f"{_section(node.name)}{each}" for each in ids)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _ids(node: ast.FunctionDef) -> Iterator[str]:
    """Texts in what a test is parametrized by."""
    for decorator in node.decorator_list:
        for each in ast.walk(decorator):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def _section(name: str) -> str:
    """`test_3_3_priorities[default failover]` is of 3.3."""
    found = re.match(r"test_(\d_\d)_", name)
    return found[1] if found else ""


@pytest.mark.parametrize("row", [f"{section} {row}".strip() for section, rows in ROWS.items() for row in rows])
def test_the_row_has_a_test_of_its_name(row: str) -> None:
    assert re.search(rf"^{plain(row)}", named(), re.MULTILINE), "write it, and name it so"


@pytest.mark.parametrize(("row", "there"), ELSEWHERE.items(), ids=ELSEWHERE)
def test_a_row_that_is_told_twice_has_one_there(row: str, there: str) -> None:
    assert re.search(rf"^{plain(there)}", named(), re.MULTILINE), f"{row}: write it, and name it so"
