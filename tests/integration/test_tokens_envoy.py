"""RequestAuthentications here, and in Envoy 1.40 with the filter that istiod makes of them
(pilot/pkg/security/authn/policy_applier.go): equal requests get equal answers, and endpoints equal heads."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.envoy import Json, cluster, running
from tests.integration.http_rig import Bench, Client, Head, Peer, bench
from tests.integration.test_tokens import GOOD, RULES, SECOND, SENT, STRANGER, now
from tests.integration.token_rig import authentication
from tests.rig import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
SERVICES = ("plain", "aud", "places", "out", "two", "who")
# What is sent as a token: as rows J5 to J10 of the reference have it.
TOKENS = {
    "good": GOOD.token(n=5, yes=True, a={"b": "c"}, list=["x?~~ÿ", 1], roles="u ops", aud="two"),
    "of the other": SECOND.token(aud=["x", "http://api.example"]),
    "expired": GOOD.token(exp=now(-90)),
    "not yet": GOOD.token(nbf=now(90)),
    "within the skew": GOOD.token(exp=now(-30), nbf=now(30), aud="https://api.example/"),
    "for others": GOOD.token(aud="three"),
    "of nobody": GOOD.token(iss="https://third.example"),
    "without issuer": GOOD.token(iss=None),
    "of a stranger's key": GOOD.token(STRANGER, header={"kid": "rsa"}),
    "of no known key": GOOD.token(header={"kid": "x"}),
    "of any key": GOOD.token(header={"kid": None}, aud="two"),
    "EC": GOOD.token(GOOD.ec, "ES256", aud="two"),
    "Ed": GOOD.token(GOOD.ed, "EdDSA", aud="two"),
    "PS": GOOD.token(algorithm="PS256", aud="two"),
    "text for a time": GOOD.token(exp="9"),
    "two parts": "a.b",
    "no base64": "a!.b.c",
    "no text": "",
}
PLACES: dict[str, tuple[str, list[str]]] = {
    "nowhere": ("/?a=1", []),
    "Bearer": ("/", ["authorization: Bearer {}"]),
    "bearer": ("/", ["authorization: bearer {}"]),
    "access_token": ("/?a=1&access_token={}&b=", []),
    "header": ("/", ["X-Token: t:{}"]),
    "header of another prefix": ("/", ["x-token: T:{}"]),
    "bare header": ("/", ["x-bare: {}"]),
    "parameter": ("/p?tok={}&b=2", []),
    "cookie": ("/", ["cookie: a=b; sess={}; c=d"]),
    "two": ("/?tok={}", ["authorization: Bearer {}", "x-bare: {}"]),
    "with a forged claim": ("/", ["authorization: Bearer {}", "x-sub: root", "x-payload: e30", "x-none: 1"]),
}
REFUSED_HERE = {"J9-crit", "J5-two-kinds"}
OTHER_WORDS = {"J9-none", "J9-HS-no-kid", "J9-own-key"}
"""What is refused here alone, or by both, but with another text: docs/differences.md."""


@dataclass(frozen=True)
class Said:
    """What came of a request; `seen`: what the endpoint got."""

    status: int
    body: str
    seen: Json

    def __str__(self) -> str:
        return f"{self.status} {self.body} {self.seen}"


def telling(peer: Peer) -> None:
    """Answers with the head that it got."""
    while True:
        head, _ = peer.request()
        body = json.dumps(_told(head)).encode()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


def _told(head: Head) -> Json:
    of_proxies = ("host", "x-request-id", "x-forwarded-proto", "x-envoy-expected-rq-timeout-ms")
    fields = sorted((name.lower(), value.strip()) for name, value in head.fields if name.lower() not in of_proxies)
    return {"path": head.first.split(" ")[1], "fields": [list(each) for each in fields]}


# -- Envoy as istiod has it --------------------------------------------------------------------------------------------


def _provider(rule: dict[str, Any]) -> Json:
    made: Json = {
        "issuer": rule["issuer"],
        "audiences": rule.get("audiences", []),
        "forward": rule.get("forwardOriginalToken", False),
        "local_jwks": {"inline_string": rule["jwks"]},
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "permission"]},
        "claim_to_headers": [
            {"header_name": each["header"], "claim_name": each["claim"]}
            for each in rule.get("outputClaimToHeaders", ())
        ],
        "from_headers": [
            {"name": each["name"], "value_prefix": each.get("prefix", "")} for each in rule.get("fromHeaders", ())
        ],
        "from_params": rule.get("fromParams", []),
        "from_cookies": rule.get("fromCookies", []),
    }
    return made | ({"forward_payload_header": each} if (each := rule.get("outputPayloadToHeader")) else {})


def _required(names: list[str], rules: list[dict[str, Any]]) -> Json:
    """Any one alone, or all whose tokens there are."""
    none: Json = {"allow_missing": {}}
    each = [
        {"provider_name": name}
        if rule.get("presence") == "REQUIRED"
        else {"requires_any": {"requirements": [{"provider_name": name}, none]}}
        for name, rule in zip(names, rules, strict=True)
    ]
    if len(each) == 1:
        return each[0]
    alone: list[Json] = [{"provider_name": name} for name in names]
    return {"requires_any": {"requirements": [*alone, {"requires_all": {"requirements": each}}]}}


def _filter(rules: list[dict[str, Any]]) -> Json:
    ordered = sorted(rules, key=lambda rule: str(rule["issuer"]))
    names = [f"origins-{at}" for at in range(len(rules))]
    return {
        "@type": f"{EXTENSIONS}.http.jwt_authn.v3.JwtAuthentication",
        "providers": {name: _provider(rule) for name, rule in zip(names, ordered, strict=True)},
        "rules": [{"match": {"prefix": "/"}, "requires": _required(names, ordered)}],
        "bypass_cors_preflight": True,
    }


def _listener(name: str, port: int) -> Json:
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": name}}]
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "normalize_path": True,
        "use_remote_address": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "jwt", "typed_config": _filter(RULES[name])},
            {"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"}},
        ],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"name": name, "address": address, "filter_chains": [chain]}


# -- both --------------------------------------------------------------------------------------------------------------


Both = dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The ports of a replica and of Envoy, for each Service."""
    directory = tmp_path_factory.mktemp("tokens")
    with bench(directory, services=dict.fromkeys(SERVICES, 1)) as made, contextlib.ExitStack() as stack:
        for name in SERVICES:
            made.play(name, telling)
            made.manifests.put(f"tokens-{name}", authentication(name, RULES[name]))
        wait_until(lambda: _in_force(made), 20, "all rules are in force")
        ports = {name: free_port() for name in SERVICES}
        listeners = [_listener(name, port) for name, port in ports.items()]
        ends = {name: made.services[name][0] for name in SERVICES}
        clusters = [cluster(name, (each.ip, each.port)) for name, each in ends.items()]
        resources = {"listeners": listeners, "clusters": clusters}
        stack.enter_context(running(Path(directory), "tokens", {"static_resources": resources}))
        yield {name: (made.replica.port, port) for name, port in ports.items()}


def _in_force(made: Bench) -> bool:
    told = [said(made.replica.port, name, "/", ["authorization: Bearer a.b", "x-bare: a.b"]) for name in SERVICES]
    return all(each.status == 401 for each in told)


def said(port: int, service: str, path: str, fields: list[str]) -> Said:
    with Client(port) as client:
        head, body = client.ask(service, path, *fields)
    text = body.decode()
    return Said(200, "", json.loads(text)) if head.status == 200 else Said(head.status, text, {})


def _asked(port: int, service: str, path: str, fields: list[str], token: str) -> Said:
    return said(port, service, path.format(token), [each.format(token) for each in fields])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("service", SERVICES)
def test_J4_J13_the_same_tokens_in_the_same_places(both: Both, service: str, place: str) -> None:
    path, fields = PLACES[place]
    told = {
        name: [_asked(port, service, path, fields, token) for port in both[service]] for name, token in TOKENS.items()
    }
    assert {name: f"{ours}" for name, (ours, _) in told.items()} == {
        name: f"{theirs}" for name, (_, theirs) in told.items()
    }


@pytest.mark.parametrize("case", SENT)
def test_J3_J10_the_same_tokens_are_taken(both: Both, case: str) -> None:
    sent = SENT[case][0]()
    ours, theirs = (said(port, "plain", "/", sent) for port in both["plain"])
    if case in REFUSED_HERE:
        assert (ours.status, theirs.status) == (401, 200)
    elif case in OTHER_WORDS:
        assert ours.status == theirs.status == 401 and ours.body != theirs.body
    else:
        assert ours == theirs
