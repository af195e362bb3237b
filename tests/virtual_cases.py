"""VirtualServices, valid and not, field by field. A case's id begins with its row (V1-V21) of what is known of them.
tests/unit/mesh/test_virtual_service.py reads them as files, tests/cluster/test_cases.py puts them before a real
API server and a real istiod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`refused`: what is said of it; "" where it is valid. `stored`: whether the CRD lets it pass, which knows less
    than Istio's webhook. `gateway_only`: the webhook takes it for gateways and refuses it for the mesh; we take it."""

    id: str
    spec: Spec
    refused: str = ""
    stored: bool = True
    gateway_only: bool = False


CART: Spec = {"destination": {"host": "cart"}}
ROUTE: Spec = {"route": [CART]}
TEXT, REQUIRED, TOGETHER, TWICE = "must be text", "is required", "cannot be used together", "is given twice"
PERCENT, STATUS, EMPTY, DURATION = "must be between 0 and 100", "between 200 and 599", "must not be empty", "duration"
UNKNOWN, RE2, ONE_OF = "is not a known field", "regular expression", "must be one of"


def top(row: str, said: str = "", stored: bool = True, **spec: Any) -> Case:
    """All of a spec."""
    return Case(_id(row, spec), spec, said, stored)


def rule(row: str, said: str = "", stored: bool = True, **fields: Any) -> Case:
    """One rule, that sends requests to a Service."""
    return Case(_id(row, fields), {"hosts": ["cart"], "http": [ROUTE | fields]}, said, stored)


def alone(row: str, said: str = "", stored: bool = True, **fields: Any) -> Case:
    """One rule with nothing but this."""
    return Case(_id(row, fields), {"hosts": ["cart"], "http": [fields]}, said, stored)


def match(row: str, said: str = "", stored: bool = True, **fields: Any) -> Case:
    """One match."""
    return Case(_id(row, fields), {"hosts": ["cart"], "http": [ROUTE | {"match": [fields]}]}, said, stored)


def to(row: str, said: str = "", stored: bool = True, *, beside: Spec | None = None, **fields: Any) -> Case:
    """One destination, `beside` another."""
    return alone(row, said, stored, route=[{"destination": {"host": "cart"}} | fields, *([beside] if beside else [])])


def claim(row: str, name: str) -> Case:
    return Case(f"{row}: {name}", match(row, headers={name: {"exact": "a"}}).spec, gateway_only=True)


def _id(row: str, fields: Spec) -> str:
    text = str(fields).replace("'", "")
    return f"{row}: {text if len(text) < 70 else text[:67] + '...'}"


DELEGATE: Spec = {"name": "basket"}
CASES = [
    top("V1 hosts", hosts=["cart", "cart.far.svc.cluster.local", "*.example.com", "192.0.2.7"], http=[ROUTE]),
    top("V1 hosts", "must not be every host", hosts=["*"], http=[ROUTE]),
    top("V1 hosts", "must be a host name", hosts=["a_b"], http=[ROUTE]),
    top("V1 hosts", TWICE, hosts=["cart", "cart"], http=[ROUTE]),
    top("V1 hosts", TWICE, hosts=["*.example.com", "www.example.com"], http=[ROUTE]),
    top("V1 hosts", TWICE, hosts=["*.www.example.com", "*.example.com"], http=[ROUTE]),
    top("V1 hosts", TEXT, False, hosts=[7], http=[ROUTE]),
    top("V1 hosts", UNKNOWN, False, host=["cart"], http=[ROUTE]),
    top("V1 gateways", hosts=["cart"], gateways=["mesh"], http=[ROUTE]),
    top("V1 gateways", hosts=["cart"], gateways=["shop/door", "mesh"], http=[ROUTE]),
    top("V1 gateways", hosts=["*"], gateways=["shop/door"], http=[ROUTE]),
    top("V1 gateways", "must be", hosts=["cart"], gateways=["shop/"], http=[ROUTE]),
    top("V1 gateways", "must be", hosts=["cart"], gateways=["a/b/c"], http=[ROUTE]),
    top("V1 nothing", "says nothing", hosts=["cart"]),
    top("V1 nothing", "says nothing", hosts=["cart"], http=[]),
    top("V1 null", "is empty", False, hosts=["cart"], http=[None]),
    *(match("V3 uri", uri=each) for each in ({"exact": "/a"}, {"prefix": "/"}, {"prefix": ""}, {"regex": "/a.*"}, {})),
    match("V3 uri", uri={"prefix": "/a"}, ignoreUriCase=True),
    match("V3 uri", EMPTY, uri={"regex": ""}),
    match("V3 uri", RE2, uri={"regex": "*"}),
    match("V3 uri", RE2, uri={"regex": "(?=a)"}),
    match("V3 uri", "longer than 1024", uri={"regex": "a" * 1025}),
    match("V3 uri", TOGETHER, False, uri={"exact": "/a", "prefix": "/b"}),
    match("V3 uri", UNKNOWN, False, uri={"suffix": "/a"}),
    match("V4 headers", headers={"x-a": {"exact": ""}, "X-B": {"prefix": "b"}, "x-c": {"regex": "c+"}, "x-d": {}}),
    match("V4 headers", headers={":method": {"exact": "GET"}, ":authority": {"exact": "a"}, ":scheme": {"exact": "b"}}),
    match("V4 headers", "must be the name of a header", headers={"x a": {"exact": "b"}}),
    match("V4 headers", headers={"x-a": None}),
    match("V4 headers", EMPTY, headers={"x-a": {"prefix": ""}}),
    match("V4 headers", RE2, headers={"x-a": {"regex": "*"}}),
    *(match("V4 method", method=each) for each in ({"exact": "GET"}, {"regex": "GET|PUT"}, {"prefix": "P"}, {})),
    match("V4 method", EMPTY, method={"prefix": ""}),
    match("V4 authority", authority={"exact": "cart"}, scheme={"exact": "http"}),
    match("V4 queryParams", queryParams={"a": {"exact": "1"}, "b": {}, "c": {"prefix": "x"}}),
    match("V4 queryParams", RE2, queryParams={"a": {"regex": "["}}),
    match("V4 port", port=80),
    match("V4 port", port=0),
    match("V4 port", "between 0 and 65535", port=65536),
    match("V5 withoutHeaders", withoutHeaders={"x-a": {"exact": "1"}, "x-b": {}, "x-c": {"regex": "*"}}),
    match("V5 withoutHeaders", EMPTY, withoutHeaders={"x-a": {"prefix": ""}}),
    match("V6 sourceLabels", sourceLabels={"app": "till"}),
    match("V6 sourceLabels", "is not a label", sourceLabels={"a b": "till"}),
    match("V7 sourceNamespace", sourceNamespace="shop"),
    match("V7 sourceNamespace", "namespace", sourceNamespace="a.b"),
    claim("V8 claims", "@request.auth.claims.group.id"),
    claim("V8 claims", "@request.auth.claims[group][id]"),
    match("V8 claims", "must be the name of a header", headers={"@request.auth.claim": {"exact": "a"}}),
    to("V9 route", weight=0),
    to("V9 route", weight=3, beside=CART | {"weight": 1}),
    to("V9 route", beside=CART | {"weight": 1}),
    to("V9 route", "the sum of all is 0", beside=CART),
    to("V9 route", "remove the quotes", False, weight="1"),
    to("V9 route", "must be between", weight=-1),
    to("V9 route", destination={"host": "cart.far.svc.cluster.local", "subset": "v1", "port": {"number": 80}}),
    to("V9 route", REQUIRED, False, destination={"subset": "v1"}),
    to("V9 route", "a host name", destination={"host": "*"}),
    to("V9 route", "a host name", destination={"host": ""}),
    to("V9 route", "name of a subset", destination={"host": "cart", "subset": "v_1"}),
    to("V9 route", "must be between 1", destination={"host": "cart", "port": {"number": 0}}),
    to("V9 route", "must be between 1", destination={"host": "cart", "port": {"number": 65536}}),
    alone("V9 route", REQUIRED, timeout="1s"),
    alone("V9 route", REQUIRED, route=[]),
    alone("V9 route", REQUIRED, False, route=[{"weight": 1}]),
    *(alone("V10 redirect", redirect=each) for each in ({"uri": "/a"}, {"authority": "b"}, {"port": 8080})),
    *(alone("V10 redirect", redirect={"scheme": "https", "redirectCode": code}) for code in (301, 302, 303, 307, 308)),
    alone("V10 redirect", redirect={"derivePort": "FROM_REQUEST_PORT"}),
    alone("V10 redirect", redirect={"uri": "/a", "derivePort": "FROM_PROTOCOL_DEFAULT"}),
    alone("V10 redirect", redirect={"prefixRewrite": "/a"}, match=[{"uri": {"prefix": "/b"}}]),
    alone("V10 redirect", "uri.prefix", redirect={"prefixRewrite": "/a"}, match=[{"uri": {"exact": "/b"}}]),
    alone("V10 redirect", TOGETHER, redirect={"prefixRewrite": "/a", "uri": "/b"}),
    alone("V10 redirect", "says nothing", redirect={}),
    alone("V10 redirect", "says nothing", redirect={"redirectCode": 302}),
    alone("V10 redirect", "between 300 and 399", redirect={"uri": "/a", "redirectCode": 200}),
    alone("V10 redirect", ONE_OF, redirect={"scheme": "ftp"}),
    alone("V10 redirect", ONE_OF, False, redirect={"derivePort": "SOME"}),
    alone("V10 redirect", TOGETHER, False, redirect={"port": 1, "derivePort": "FROM_REQUEST_PORT"}),
    alone("V10 redirect", "between 0 and 65535", redirect={"port": 65536}),
    rule("V10 redirect", TOGETHER, redirect={"uri": "/a"}),
    alone("V10 redirect", TOGETHER, redirect={"uri": "/a"}, rewrite={"uri": "/b"}),
    alone("V10 redirect", TOGETHER, redirect={"uri": "/a"}, directResponse={"status": 200}),
    alone("V10 redirect", TOGETHER, redirect={"uri": "/a"}, fault={"delay": {"fixedDelay": "1s"}}),
    alone("V11 directResponse", directResponse={"status": 200}),
    alone("V11 directResponse", directResponse={"status": 503, "body": {"string": "closed"}}),
    alone("V11 directResponse", directResponse={"status": 503, "body": {"bytes": "Y2xvc2Vk"}}),
    alone("V11 directResponse", "must be base64", False, directResponse={"status": 503, "body": {"bytes": "#"}}),
    alone("V11 directResponse", TOGETHER, False, directResponse={"status": 503, "body": {"bytes": "", "string": ""}}),
    alone("V11 directResponse", STATUS, directResponse={"status": 199}),
    alone("V11 directResponse", REQUIRED, False, directResponse={}),
    rule("V11 directResponse", TOGETHER, directResponse={"status": 200}),
    alone("V11 directResponse", TOGETHER, directResponse={"status": 200}, rewrite={"uri": "/b"}),
    rule("V12 rewrite", rewrite={"uri": "/a", "authority": "b"}),
    rule("V12 rewrite", rewrite={"uriRegexRewrite": {"match": "/a/(.*)", "rewrite": "/b/\\1"}}),
    rule("V12 rewrite", "rewrites nothing", rewrite={}),
    rule("V12 rewrite", TOGETHER, rewrite={"uri": "/a", "uriRegexRewrite": {"match": "a", "rewrite": "b"}}),
    rule("V12 rewrite", REQUIRED, rewrite={"uriRegexRewrite": {"match": "a"}}),
    rule("V12 rewrite", REQUIRED, rewrite={"uriRegexRewrite": {"rewrite": "a"}}),
    rule("V12 rewrite", RE2, rewrite={"uriRegexRewrite": {"match": "(", "rewrite": "a"}}),
    rule("V12 rewrite", rewrite={"authority": "b:8080"}),
    rule("V14 timeout", timeout="1.5s"),
    rule("V14 timeout", DURATION, False, timeout="soon"),
    rule("V14 timeout", "at least 1ms", False, timeout="0s"),
    rule("V14 retries", retries={}),
    rule("V14 retries", retries={"attempts": 0}),
    rule("V14 retries", retries={"attempts": 3, "perTryTimeout": "1s", "backoff": "10ms"}),
    rule("V14 retries", retries={"attempts": 3, "retryOn": "5xx,gateway-error,503,retriable-4xx,unavailable"}),
    rule("V14 retries", retries={"attempts": 1, "retryIgnorePreviousHosts": False, "retryRemoteLocalities": True}),
    rule("V14 retries", "attempts: is 0", retries={"retryOn": "5xx"}),
    rule("V14 retries", "attempts: is 0", retries={"attempts": 0, "perTryTimeout": "1s"}),
    rule("V14 retries", "must be between", retries={"attempts": -1}),
    rule("V14 retries", "no condition", retries={"attempts": 1, "retryOn": "5xx, 503"}),
    rule("V14 retries", "no condition", retries={"attempts": 1, "retryOn": "600"}),
    rule("V14 retries", DURATION, False, retries={"attempts": 1, "backoff": "x"}),
    rule("V15 delay", fault={"delay": {"fixedDelay": "5s", "percentage": {"value": 0.1}}}),
    rule("V15 delay", fault={"delay": {"fixedDelay": "5s", "percent": 10}}),
    rule("V15 delay", "must have delay or abort", fault={}),
    rule("V15 delay", PERCENT, fault={"delay": {"fixedDelay": "5s", "percentage": {"value": 101}}}),
    rule("V15 delay", "at least 0.0001", fault={"delay": {"fixedDelay": "5s", "percentage": {"value": 0.00001}}}),
    rule("V15 delay", "not supported", fault={"delay": {"exponentialDelay": "5s"}}),
    rule("V15 delay", "not supported", False, fault={"delay": {"exponentialDelay": "5s", "fixedDelay": "5s"}}),
    rule("V16 abort", fault={"abort": {"httpStatus": 418, "percentage": {"value": 100}}}),
    rule("V16 abort", fault={"abort": {"grpcStatus": "NOT_FOUND", "percentage": {"value": 100}}}),
    rule("V16 abort", fault={"abort": {"percentage": {"value": 100}}}),
    rule("V16 abort", STATUS, fault={"abort": {"httpStatus": 100}}),
    rule("V16 abort", ONE_OF, fault={"abort": {"grpcStatus": "LOST"}}),
    rule("V16 abort", "not supported", fault={"abort": {"http2Error": "x"}}),
    rule("V16 abort", TOGETHER, False, fault={"abort": {"httpStatus": 500, "grpcStatus": "OK"}}),
    rule("V17 mirror", mirror={"host": "cart", "subset": "v2"}, mirrorPercentage={"value": 12.5}),
    rule("V17 mirror", mirrors=[{"destination": {"host": "cart"}}, {"destination": {"host": "till"}}]),
    rule("V17 mirror", TOGETHER, mirror={"host": "cart"}, mirrors=[{"destination": {"host": "cart"}}]),
    rule("V17 mirror", PERCENT, mirror={"host": "cart"}, mirrorPercentage={"value": 101}),
    rule("V17 mirror", PERCENT, mirror={"host": "cart"}, mirrorPercent=101),
    rule("V17 mirror", PERCENT, mirrors=[{"destination": {"host": "cart"}, "percentage": {"value": -1}}]),
    rule("V17 mirror", REQUIRED, False, mirrors=[{}]),
    rule("V18 cors", corsPolicy={"allowOrigins": [{"exact": "http://a"}, {"prefix": "http://"}, {"regex": "h.*"}]}),
    rule("V18 cors", corsPolicy={"allowOrigin": ["*"], "allowMethods": ["GET", "*"], "allowHeaders": ["x-a", "*"]}),
    rule("V18 cors", corsPolicy={"maxAge": "24h", "allowCredentials": True, "exposeHeaders": ["x-a"]}),
    *(rule("V18 cors", corsPolicy={"unmatchedPreflights": each}) for each in ("UNSPECIFIED", "FORWARD", "IGNORE")),
    rule("V18 cors", "not empty", corsPolicy={"allowOrigins": [{}]}),
    rule("V18 cors", "not empty", corsPolicy={"allowOrigins": [{"exact": ""}]}),
    rule("V18 cors", RE2, corsPolicy={"allowOrigins": [{"regex": "["}]}),
    rule("V18 cors", ONE_OF, corsPolicy={"allowMethods": ["get"]}),
    rule("V18 cors", "name of a header", corsPolicy={"allowHeaders": ["x a"]}),
    rule("V18 cors", "whole seconds", corsPolicy={"maxAge": "1500ms"}),
    rule("V18 cors", ONE_OF, False, corsPolicy={"unmatchedPreflights": "DROP"}),
    rule("V19 headers", headers={"request": {"set": {"x-a": "1"}, "add": {"x-b": "100%%"}, "remove": ["x-c"]}}),
    rule("V19 headers", headers={"response": {"set": {"x-a": "%REQ(x-b)%"}}}),
    rule("V19 headers", headers={"request": {"set": {"Host": "a"}}}),
    rule("V19 headers", "stands alone", headers={"request": {"set": {"x-a": "100%"}}}),
    rule("V19 headers", "control characters", headers={"request": {"set": {"x-a": "a\x01"}}}),
    rule("V19 headers", "is the authority", headers={"response": {"set": {"host": "a"}}}),
    rule("V19 headers", "is the authority", headers={"request": {"remove": ["host"]}}),
    rule("V19 headers", "name of a header", headers={"request": {"set": {":path": "a"}}}),
    rule("V19 headers", "authority", headers={"request": {"set": {"host": "a"}}}, rewrite={"authority": "b"}),
    rule("V19 headers", TEXT, False, headers={"request": {"set": {"x-a": 1}}}),
    to("V19 headers", headers={"request": {"set": {"x-a": "1"}}, "response": {"remove": ["x-b"]}}),
    to("V19 headers", "stands alone", headers={"request": {"add": {"x-a": "%"}}}),
    alone("V20 delegate", delegate=DELEGATE, match=[{"uri": {"prefix": "/a"}}]),
    rule("V20 delegate", TOGETHER, delegate=DELEGATE),
    alone("V20 delegate", TOGETHER, delegate=DELEGATE, redirect={"uri": "/a"}),
    top("V20 delegate", http=[ROUTE]),
    top("V20 delegate", "another's delegate", gateways=["mesh"], http=[ROUTE]),
    top("V20 delegate", "a delegate itself", http=[ROUTE | {"delegate": DELEGATE}]),
    top("V21 exportTo", hosts=["cart"], http=[ROUTE], exportTo=["."]),
    top("V21 exportTo", hosts=["cart"], http=[ROUTE], exportTo=["*"]),
    top("V21 exportTo", hosts=["cart"], http=[ROUTE], exportTo=["shop", "far"]),
    top("V21 exportTo", "must stand alone", hosts=["cart"], http=[ROUTE], exportTo=["*", "shop"]),
    top("V21 exportTo", TWICE, hosts=["cart"], http=[ROUTE], exportTo=[".", "shop"]),
    top("V21 exportTo", "a namespace", hosts=["cart"], http=[ROUTE], exportTo=["~"]),
]
