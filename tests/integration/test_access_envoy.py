"""AuthorizationPolicies here, and in Envoy 1.40 with the RBAC filters that Istio makes of them: equal requests get
equal answers. What Envoy cannot be told here (tokens, addresses, other ports) the reference alone says.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.envoy import Json, running
from tests.integration.http_rig import Client
from tests.reference import authorization
from tests.reference.asked import Asked
from tests.reference.cases import seeds
from tests.reference.chance import Chance
from tests.reference.drawn_policies import asked, policies
from tests.reference.test_authorization import Compiled
from tests.rig import free_port
from tests.unit.mesh.mesh_rig import Object, clusters, shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
SETS = 250
KNOWN = frozenset(("principals", "namespaces", "hosts", "methods", "paths", "source.principal", "source.namespace")) | {
    "request.headers[x-a]",
    "request.headers[X_B]",
}


def drawn() -> Iterator[tuple[list[Object], list[Asked]]]:
    """Policies, and requests under them."""
    for seed in seeds(SETS):
        chance = Chance(seed)
        made = [each for each in policies(chance, KNOWN) if authorization.attached(each)]
        kept = [each for each in made if authorization.decides(each)]
        yield kept, [replace(each, mode="BASE") for each in chance.some(partial(asked, chance), 10, 10) if each.method]


# -- RBAC as pilot/pkg/security/authz makes it -------------------------------------------------------------------------


def text(value: str, before: str = "", **more: Any) -> Json:
    """A string matcher."""
    if value == "*":
        return {"safe_regex": {"regex": ".+"}}
    if value.startswith("*"):
        rest = value[1:]
        return {"safe_regex": {"regex": f"{before}.*{_quoted(rest)}"}} if before else {"suffix": rest, **more}
    return {"prefix": before + value[:-1], **more} if value.endswith("*") else {"exact": before + value, **more}


def _quoted(rest: str) -> str:
    return rest.replace(".", "\\.")


def header(name: str, value: str, **more: Any) -> Json:
    how = (
        {"present_match": True} if value == "*" and not name.startswith(":") else {"string_match": text(value, **more)}
    )
    return {"header": {"name": name, **how}}


def identity(matcher: Json) -> Json:
    return {"filter_state": {"key": "io.istio.peer_principal", "string_match": matcher}}


def path(value: str) -> Json:
    if "{" not in value:
        return {"url_path": {"path": text(value)}}
    kind = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
    template = value.replace("{**}", "**").replace("{*}", "*")
    return {"uri_template": {"name": "t", "typed_config": {"@type": kind, "path_template": template}}}


def one(name: str, value: str) -> Json:
    if name in ("principals", "source.principal"):
        return identity(text(value, "spiffe://"))
    if name in ("namespaces", "source.namespace"):
        return identity({"safe_regex": {"regex": f".*/ns/{value.replace('*', '.*')}/.*"}})
    if name == "hosts":
        return header(":authority", value, ignore_case=True)
    if name == "methods":
        return header(":method", value)
    return path(value) if name == "paths" else header(name.partition("[")[2][:-1], value)


def term(name: str, values: list[str], negated: bool, kind: str) -> Json:
    """One of the values, or none; `kind`: "rule" of a permission, "id" of a principal."""
    any_of = {f"or_{kind}s": {f"{kind}s": [one(name, value) for value in values]}}
    return {f"not_{kind}": any_of} if negated else any_of


def both(terms: list[Json], kind: str) -> Json:
    return {f"and_{kind}s": {f"{kind}s": [*terms, {"any": True}]}}


def fields(said: Mapping[str, list[str]], kind: str) -> list[Json]:
    return [term(authorization.positive(name), values, name.startswith("not"), kind) for name, values in said.items()]


def rbac(rule: Object) -> Json:
    """A policy of Envoy's."""
    of_who: list[Json] = []
    of_what: list[Json] = []
    for each in rule.get("when", ()):
        kind, into = ("id", of_who) if each["key"].startswith("source.") else ("rule", of_what)
        for name, negated in (("values", False), ("notValues", True)):
            if name in each:
                into.append(term(each["key"], each[name], negated, kind))
    who = [fields(each["source"], "id") for each in rule.get("from", ())] or [[]]
    what = [fields(each["operation"], "rule") for each in rule.get("to", ())] or [[]]
    return {
        "principals": [both(each + of_who, "id") for each in who],
        "permissions": [both(each + of_what, "rule") for each in what],
    }


def per_route(policies: list[Object], action: str) -> Json:
    mine = [each for each in policies if each["spec"]["action"] == action]
    made: Json = {"@type": f"{EXTENSIONS}.http.rbac.v3.RBACPerRoute"}
    if mine:
        rules = {
            f"{at}-{of}": rbac(rule) for at, each in enumerate(mine) for of, rule in enumerate(each["spec"]["rules"])
        }
        made["rbac"] = {"rules": {"action": action, "policies": rules}}
    return made


def configuration(port: int, sets: list[list[Object]]) -> Json:
    """A route for each set, by a header."""
    routes = [
        {
            "match": {"prefix": "/", "headers": [{"name": "x-set", "string_match": {"exact": str(at)}}]},
            "direct_response": {"status": 200},
            "typed_per_filter_config": {action: per_route(policies, action) for action in ("DENY", "ALLOW")},
        }
        for at, policies in enumerate(sets)
    ]
    state = {
        "object_key": "io.istio.peer_principal",
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": "%REQ(x-identity)%"}, "omit_empty_values": True},
        "skip_if_empty": True,
    }
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "access",
        "normalize_path": True,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": "identity",
                "typed_config": {
                    "@type": f"{EXTENSIONS}.http.set_filter_state.v3.Config",
                    "on_request_headers": [state],
                },
            },
            *(
                {"name": action, "typed_config": {"@type": f"{EXTENSIONS}.http.rbac.v3.RBAC"}}
                for action in ("DENY", "ALLOW")
            ),
            {"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"}},
        ],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"static_resources": {"listeners": [{"name": "http", "address": address, "filter_chains": [chain]}]}}


@contextlib.contextmanager
def envoy(directory: Path, sets: list[list[Object]]) -> Iterator[int]:
    port = free_port()
    with running(directory, "access", configuration(port, sets)):
        yield port


def test_the_same_requests_get_the_same_answers(tmp_path: Path) -> None:
    cases = [(objects, requests) for objects, requests in drawn() if objects]
    asked_of: dict[str, int] = {"allow": 0, "deny": 0}
    with envoy(tmp_path, [objects for objects, _ in cases]) as port:
        for at, (objects, requests) in enumerate(cases):
            made = Compiled(clusters(*shop(*objects))["shop/cart:80"])
            for each in requests:
                expected = made.decision(each)
                if expected == authorization.AMBIGUOUS or each.method == "get" or "%00" in each.path:
                    continue  # Envoy refuses such a method, and such a path whatever the rules are
                lines = [f"x-set: {at}", *map(": ".join, each.headers)]
                lines += [f"x-identity: {each.identity}"] if each.identity else []
                with Client(port) as client:
                    head, _ = client.ask(each.host, each.path, *lines, method=each.method)
                assert {200: "allow", 403: "deny"}.get(head.status, str(head.status)) == expected, (objects, each)
                asked_of[expected] += 1
    assert len(cases) > 100 and min(asked_of.values()) > 100, (len(cases), asked_of)
