"""What rules do with requests: as an HTTPRoute or a VirtualService has it, and the route of Envoy that istiod makes of
it (pilot/pkg/networking/core/route/route.go, pilot/pkg/config/kube/gateway/conversion.go)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
WEB, OLD = [{"name": "web", "port": 8000}], [{"destination": {"host": "old"}}]
CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
FAULT = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
GRPC = "content-type: application/grpc"


@dataclass(frozen=True)
class Ask:
    """A request below the row's path."""

    path: str = ""
    lines: tuple[str, ...] = ()
    method: str = "GET"
    host: str = ""


@dataclass(frozen=True)
class Row:
    """`rule`: of an HTTPRoute for Service `web`, or of a VirtualService for `old`. `envoy`: a route without a match."""

    id: str
    rule: Json
    envoy: Json
    asks: tuple[Ask, ...] = (Ask(), Ask("/x?y=1"))

    @property
    def service(self) -> str:
        return "old" if self.id.startswith("V") else "web"

    @property
    def path(self) -> str:
        return f"/{self.id}"


def to(cluster: str = "web", **action: Any) -> Json:
    """The retries are istiod's own, for those without any."""
    return {"route": {"cluster": cluster, **action}}


def http(row: str, envoy: Json, *filters: Json, asks: tuple[Ask, ...] = (), **rule: Any) -> Row:
    """A rule of an HTTPRoute that sends requests to `web` unless it redirects."""
    where = {"matches": [{"path": {"value": f"/{row}"}}]}
    backends = {} if any(each["type"] == "RequestRedirect" for each in filters) else {"backendRefs": WEB}
    return Row(row, where | backends | {"filters": list(filters)} | rule, envoy, *([asks] if asks else []))


def virtual(row: str, envoy: Json, asks: tuple[Ask, ...] = (), **rule: Any) -> Row:
    """A rule of a VirtualService that sends requests to `old` unless it answers itself."""
    where = {"match": [{"uri": {"prefix": f"/{row}"}}]}
    backends = {} if "redirect" in rule or "directResponse" in rule else {"route": OLD}
    return Row(row, where | backends | rule, envoy, *([asks] if asks else []))


# -- headers ----------------------------------------------------------------------------------------------------------

SENT = Ask(lines=("x-a: 0", "X-A: 2", "x-b: 3"))
_EDITS = {"set": [{"name": "X-A", "value": "s"}], "add": [{"name": "x-b", "value": "t"}], "remove": ["x-C", "x-old"]}


def edits(kind: str) -> Json:
    return {"type": f"{kind}HeaderModifier", f"{kind.lower()}HeaderModifier": _EDITS}


def put(kind: str) -> Json:
    """The same for Envoy."""
    actions = ("OVERWRITE_IF_EXISTS_OR_ADD", "APPEND_IF_EXISTS_OR_ADD")
    pairs = (("X-A", "s"), ("x-b", "t"))
    added = [
        {"header": {"key": name, "value": value}, "append_action": how}
        for (name, value), how in zip(pairs, actions, strict=True)
    ]
    return {f"{kind}_headers_to_add": added, f"{kind}_headers_to_remove": _EDITS["remove"]}


_SAID = {"set": {"X-A": "s"}, "add": {"x-b": "t"}, "remove": ["x-C", "x-old"]}


def header_rows() -> Iterator[Row]:
    more = Ask(lines=("x-c: 1", "X-C: 2"))
    yield http("F3-request", to() | put("request"), edits("Request"), asks=(SENT, more))
    yield http("F3-response", to() | put("response"), edits("Response"))
    gone = {"redirect": {"host_redirect": "a.org", "port_redirect": 8000, "response_code": "FOUND"}}
    yield http("F4-redirect", gone | put("response"), redirect(hostname="a.org"), edits("Response"))
    failed: Json = {"direct_response": {"status": 500}}
    yield http("F4-500", failed | put("response"), edits("Response"), backendRefs=[])
    yield http("B4", failed, backendRefs=[])
    both = to("old") | put("request") | put("response")
    yield virtual("V19", both, asks=(SENT, more), headers={"request": _SAID, "response": _SAID})


# -- redirects, rewrites ----------------------------------------------------------------------------------------------


def redirect(**said: Any) -> Json:
    return {"type": "RequestRedirect", "requestRedirect": said}


def rewrite(**said: Any) -> Json:
    return {"type": "URLRewrite", "urlRewrite": said}


def full(path: str) -> Json:
    return {"type": "ReplaceFullPath", "replaceFullPath": path}


def prefix(path: str) -> Json:
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": path}


CODES = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
PORTED = (Ask(host="{}:8000"), Ask("/x?y=1", host="{}:8000"))
BOTH = (Ask(), Ask(lines=(GRPC, "te: trailers"), method="POST"))
HOSTS = (Ask(), Ask("/x?y=1"), Ask("/x", host="{}:8000"), Ask("/x", host="{}:8000", method="POST"))


def gone(code: int = 302, **said: Any) -> Json:
    return {"redirect": {"port_redirect": 8000, "response_code": CODES[code], **said}}


def redirect_rows() -> Iterator[Row]:
    for status in CODES:
        row = f"F7-{status}"
        yield http(row, gone(status, host_redirect="a.org"), redirect(hostname="a.org", statusCode=status), asks=HOSTS)
    yield http("F8-port", gone(port_redirect=8443), redirect(port=8443), asks=HOSTS)
    https = gone(scheme_redirect="https", host_redirect="a.org", port_redirect=0)
    yield http("F8-scheme", https, redirect(scheme="https", hostname="a.org"), asks=HOSTS)
    yield http("F9", gone(), redirect(), asks=HOSTS)
    yield http("F10-full", gone(path_redirect="/new"), redirect(path=full("/new")), asks=HOSTS)
    yield http("F10-prefix", gone(prefix_rewrite="/xyz"), redirect(path=prefix("/xyz")), asks=HOSTS)
    moved: Json = {"response_code": "MOVED_PERMANENTLY"}
    yield virtual("V10-uri", {"redirect": {"path_redirect": "/n", **moved}}, PORTED, redirect={"uri": "/n"})
    authority: Json = {"redirect": {"host_redirect": "a.org:99", **moved}}
    yield virtual("V10-authority", authority, redirect={"authority": "a.org:99"})
    yield virtual(
        "V10-prefix", {"redirect": {"prefix_rewrite": "/n", **moved}}, PORTED, redirect={"prefixRewrite": "/n"}
    )
    code: Json = {"redirect": {"path_redirect": "/n", "response_code": "SEE_OTHER"}}
    yield virtual("V10-code", code, PORTED, redirect={"uri": "/n", "redirectCode": 303})
    said = {"status": 418, "body": {"inline_string": "tea"}}
    yield virtual("V11-tea", {"direct_response": said}, directResponse={"status": 418, "body": {"string": "tea"}})
    for status in (400, 401, 403, 404, 429, 500, 502, 503, 504):
        said = {"status": status, "body": {"inline_string": "why"}}
        ours = {"status": status, "body": {"string": "why"}}
        yield virtual(f"V11-G4-{status}", {"direct_response": said}, BOTH, directResponse=ours)


BELOW = (Ask(), Ask("/"), Ask("/bar"), Ask("?x=1"), Ask("/bar?x=1"), Ask("//bar"), Ask("/a/../bar"))


def rewrite_rows() -> Iterator[Row]:
    """P1 to P10, and whole paths and hosts."""
    for row, value in {"P1": "/xyz", "P2": "/xyz/", "P9": "/x/y"}.items():
        yield http(row, to(prefix_rewrite=value.rstrip("/")), rewrite(path=prefix(value)), asks=BELOW)
    cut = {"pattern": {"regex": "^/P6(/?)(.*)"}, "substitution": "/\\2"}
    yield http("P6", to(regex_rewrite=cut), rewrite(path=prefix("/")), asks=BELOW)
    whole = {"pattern": {"regex": "/.*"}, "substitution": "/one"}
    yield http("F12", to(regex_rewrite=whole), rewrite(path=full("/one")), asks=BELOW)
    yield http("F13", to(host_rewrite_literal="one.org"), rewrite(hostname="one.org"), asks=HOSTS)
    yield virtual("V12-uri", to("old", prefix_rewrite="/n"), BELOW, rewrite={"uri": "/n"})
    yield virtual("V12-authority", to("old", host_rewrite_literal="b.org"), rewrite={"authority": "b.org"})
    expression = {"pattern": {"regex": "/V12-regex/([a-z]+)(.*)"}, "substitution": "/\\2/\\1"}
    said = {"uriRegexRewrite": {"match": "/V12-regex/([a-z]+)(.*)", "rewrite": "/\\2/\\1"}}
    asks = (Ask("/abc/1"), Ask("/abc/1?q=/V12-regex/z"), Ask("/1"))
    yield virtual("V12-regex", to("old", regex_rewrite=expression), asks, rewrite=said)


# -- CORS, faults, times ----------------------------------------------------------------------------------------------

FOO = "origin: https://www.foo.com"
METHOD, NAMES = "access-control-request-method: PUT", "access-control-request-headers: x-1"


def questions(*origins: str) -> tuple[Ask, ...]:
    """Preflights and simple requests of these origins, and what is nearly a preflight."""
    found = [Ask(lines=(origin,)) for origin in origins]
    found += [Ask(lines=(origin, METHOD, NAMES), method="OPTIONS") for origin in origins]
    return (*found, Ask(lines=(FOO,), method="OPTIONS"), Ask(lines=(METHOD,), method="OPTIONS"), Ask())


def cors(envoy: Json, cluster: str = "web") -> Json:
    return to(cluster) | {"typed_per_filter_config": {"cors": {"@type": CORS, **envoy}}}


def cors_rows() -> Iterator[Row]:
    policy: Json = {
        "allow_origin_string_match": [{"exact": FOO[8:]}],
        "allow_methods": "GET,PUT",
        "allow_headers": "x-1,x-2",
    }
    policy |= {"expose_headers": "x-3", "max_age": "3600", "allow_credentials": True}
    said = {"allowMethods": ["GET", "PUT"], "allowHeaders": ["x-1", "x-2"], "exposeHeaders": ["x-3"]}
    asks = questions(FOO, "origin: https://bad.com", "origin: null", "origin: https://www.foo.com:8443")
    shown = said | {"allowOrigins": [FOO[8:]], "maxAge": 3600, "allowCredentials": True}
    unmatched = {"forward_not_matching_preflights": False}
    yield http("C2-C7", cors(policy | unmatched), {"type": "CORS", "cors": shown}, asks=asks)
    origins = [{"exact": FOO[8:]}, {"prefix": "http://a"}, {"regex": "https://[a-z]+\\.bar\\.com"}]
    told = policy | {"allow_origin_string_match": [origins[0], origins[1], {"safe_regex": origins[2]}]}
    several = questions(FOO, "origin: http://ab", "origin: https://x.bar.com", "origin: https://x.y.bar.com")
    fields = said | {"allowOrigins": origins, "maxAge": "3600s", "allowCredentials": True}
    yield virtual(
        "V18-forward", cors(told | {"forward_not_matching_preflights": True}, "old"), several, corsPolicy=fields
    )
    ignored = fields | {"unmatchedPreflights": "IGNORE"}
    yield virtual("V18-ignore", cors(told | unmatched, "old"), several, corsPolicy=ignored)


ALL, ALL_OF = {"value": 100}, {"numerator": 100, "denominator": "HUNDRED"}


def fault(said: Json) -> Json:
    return to("old") | {"typed_per_filter_config": {"fault": {"@type": FAULT, **said}}}


def fault_rows() -> Iterator[Row]:
    aborted: Json = {"abort": {"http_status": 418, "percentage": ALL_OF}}
    yield virtual("V16-http", fault(aborted), BOTH, fault={"abort": {"httpStatus": 418, "percentage": ALL}})
    grpc: Json = {"abort": {"grpc_status": 5, "percentage": ALL_OF}}
    yield virtual("V16-grpc", fault(grpc), BOTH, fault={"abort": {"grpcStatus": "NOT_FOUND", "percentage": ALL}})
    late: Json = {"delay": {"fixed_delay": "0.01s", "percentage": ALL_OF}}
    yield virtual("V15", fault(late), BOTH, fault={"delay": {"fixedDelay": "10ms", "percentage": ALL}})
    lost: Json = {"cluster": "nowhere", "cluster_not_found_response_code": "SERVICE_UNAVAILABLE"}
    yield virtual("V9", {"route": lost}, route=[{"destination": {"host": "nowhere"}}])
    gone_to = {"cluster": "nowhere", "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"}
    yield http("B5", {"route": gone_to}, backendRefs=[{"name": "nowhere", "port": 80}])


def time_rows() -> Iterator[Row]:
    """`/late` is answered late, `/fail-N` fails so often, `/reset` not at all."""
    grpc = Ask("/late", lines=(GRPC, "te: trailers"), method="POST")
    asks = (Ask(), Ask("/late"), grpc)
    yield http("T2-request", to(timeout="0.3s"), timeouts={"request": "300ms"}, asks=asks)
    yield virtual("V14-timeout", to("old", timeout="0.3s"), asks, timeout="0.3s")
    on = {"retry_on": "connect-failure,refused-stream,retriable-status-codes,5xx", "num_retries": 2}
    on |= {"retriable_status_codes": [500]}
    tried = (Ask("/fail-1"), Ask("/fail-2"), Ask("/fail-3"), Ask("/fail-1", method="POST"), Ask("/reset"))
    said = {"attempts": 2, "retryOn": "connect-failure,refused-stream,5xx"}
    yield virtual("V14-retries", to("old", retry_policy=on), tried, retries=said)
    codes = {"retry_on": "connect-failure,refused-stream,retriable-status-codes", "num_retries": 2}
    codes |= {"retriable_status_codes": [503]}
    yield http("T5", to(retry_policy=codes), retry={"attempts": 2, "codes": [503]}, asks=tried[:4])
    each = {"retry_on": "5xx", "num_retries": 2, "per_try_timeout": "0.2s"}
    per_try = {"attempts": 2, "perTryTimeout": "200ms", "retryOn": "5xx"}
    yield virtual("V14-per-try", to("old", retry_policy=each, timeout="20s"), asks, retries=per_try, timeout="20s")


def mirror_rows() -> Iterator[Row]:
    copies = [{"cluster": "copy", "trace_sampled": False}]
    both = rewrite(path=prefix("/n"), hostname="one.org")
    copied = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 8000}}}
    changed = to(request_mirror_policies=copies, prefix_rewrite="/n", host_rewrite_literal="one.org") | put("request")
    asks = (SENT, Ask("/x?y=1", host="{}:8000"))
    yield http("F15", to(request_mirror_policies=copies), copied, asks=asks)
    yield http("F15-changed", changed, copied, both, edits("Request"), asks=asks)
    yield virtual("V17", to("old", request_mirror_policies=copies), asks, mirror={"host": "copy"})


MIRRORED = list(mirror_rows())
ROWS = [
    *MIRRORED,
    *header_rows(),
    *redirect_rows(),
    *rewrite_rows(),
    *cors_rows(),
    *fault_rows(),
    *time_rows(),
]
