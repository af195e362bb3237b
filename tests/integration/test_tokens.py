"""RequestAuthentications in force, through a whole replica: which tokens are taken, what the others are told, what
endpoints get, and where keys come from. Rows of the reference (l7-policy.md PART 4, J; 3.6, E) are named in test ids.
"""

import base64
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hbone_rig import HboneBench, Served, h2_app, h2_client, h2_headers, h2_name, hbone_bench
from tests.integration.http_rig import Client, Head, serve_ok, unique
from tests.integration.token_rig import BY_CLAIM, authentication, authorization
from tests.issuer_rig import ISSUER, Issuer, KeyServer, b64, keys_of, rsa_key
from tests.rig import free_port, wait_until

OTHER = "https://other.example"
GOOD = Issuer()
SECOND = Issuer(OTHER)
STRANGER = rsa_key("stranger")
DENIED = "RBAC: access denied"
VERIFICATION = "Jwt verification fails"
FORM = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
NO_ISSUER = "Jwt issuer is not configured"


def rule(issuer: str = ISSUER, **more: Any) -> dict[str, Any]:
    keys = {} if "jwksUri" in more else {"jwks": GOOD.jwks if issuer == ISSUER else SECOND.jwks}
    return {"issuer": issuer, **keys, **more}


RULES: dict[str, list[dict[str, Any]]] = {
    "plain": [rule()],
    "aud": [rule(audiences=["https://api.example/", "two"], forwardOriginalToken=True)],
    "places": [
        rule(
            fromHeaders=[{"name": "X-Token", "prefix": "t:"}, {"name": "x-bare"}],
            fromParams=["tok"],
            fromCookies=["sess"],
            presence="REQUIRED",
        )
    ],
    "out": [
        rule(
            outputPayloadToHeader="X-Payload",
            outputClaimToHeaders=[
                {"header": f"x-{name.replace('.', '-')}", "claim": name}
                for name in ("sub", "n", "yes", "a.b", "list", "none", "bad")
            ],
        )
    ],
    "two": [rule(OTHER), rule()],
    "who": [rule(spaceDelimitedClaims=["roles"], outputClaimToHeaders=[{"header": "x-user", "claim": "sub"}])],
    "grpc": [rule()],
    "routed": [rule()],
}
ALLOWED = [
    {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}], "to": [{"operation": {"paths": ["/alice*"]}}]},
    {
        "to": [{"operation": {"paths": ["/groups*"]}}],
        "when": [{"key": "request.auth.claims[groups]", "values": ["ops"]}],
    },
    {"to": [{"operation": {"paths": ["/roles*"]}}], "when": [{"key": "request.auth.claims[roles]", "values": ["ops"]}]},
    {"to": [{"operation": {"paths": ["/n*"]}}], "when": [{"key": "request.auth.claims[n]", "values": ["5"]}]},
    {"to": [{"operation": {"paths": ["/user*"]}}], "when": [{"key": "request.headers[x-user]", "values": ["root"]}]},
    {"from": [{"source": {"requestPrincipals": ["*"]}}], "to": [{"operation": {"paths": ["/any*"]}}]},
]


def put(proxy: HboneBench, *policies: dict[str, Any]) -> None:
    """The worker has them when this is over."""
    before = proxy.replica.info("/server_info")["snapshot"]
    for each in policies:
        proxy.manifests.put(f"{each['kind']}-{each['metadata']['name']}", each)

    def applied() -> bool:
        info = proxy.replica.info("/server_info")
        return bool(info["snapshot"] > before and info["workers"][0]["snapshot"] == info["snapshot"])

    wait_until(applied, 10, "the worker has it")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [Served(name) for name in RULES if name != "grpc"]
    served += [Served("grpc", port=5000, port_name="grpc-api"), Served("late"), Served("moved"), Served("unread")]
    with hbone_bench(tmp_path_factory.mktemp("tokens"), *served, http=True) as running:
        policies = [authentication(name, rules) for name, rules in RULES.items()]
        put(running, *policies, authorization("who", *ALLOWED), BY_CLAIM)
        wait_until(lambda: all(_has_tokens(running, name) for name in RULES), 10, "all rules are in force")
        yield running


def _has_tokens(proxy: HboneBench, name: str) -> bool:
    dump = proxy.replica.info("/config_dump")["snapshot"]["clusters"]
    return any("tokens" in each for each in dump if each["name"].startswith(f"httpbin/{name}:"))


def ask(proxy: HboneBench, service: str, path: str = "/", *fields: str, method: str = "GET") -> tuple[Head, str]:
    with Client(proxy.http) as client:
        head, body = client.ask(service, path, *fields, method=method)
        return head, body.decode()


def bearer(token: str) -> str:
    return f"authorization: Bearer {token}"


def now(seconds: float) -> int:
    return int(time.time() + seconds)


PUBLIC = json.dumps(GOOD.rsa.published).encode()

# What is sent with a request for `plain`, the status and the body that it gets.
SENT: dict[str, tuple[Callable[[], list[str]], int, str]] = {
    "J2-none": (list, 200, "ok"),
    "J4-case": (lambda: ["authorization: bearer x"], 200, "ok"),
    "J4-basic": (lambda: ["authorization: Basic eDp5"], 200, "ok"),
    "J4-empty": (lambda: ["authorization: Bearer "], 200, "ok"),
    "J5-two-lines": (lambda: [bearer(GOOD.token()), bearer(GOOD.token())], 401, FORM),
    "J5-two-kinds": (lambda: ["authorization: Basic eDp5", bearer(GOOD.token())], 401, ""),
    "J6-slash": (lambda: [bearer(GOOD.token(iss=f"{ISSUER}/"))], 401, NO_ISSUER),
    "J6-missing": (lambda: [bearer(GOOD.token(iss=None))], 401, NO_ISSUER),
    "J8-skew": (lambda: [bearer(GOOD.token(exp=now(-30)))], 200, "ok"),
    "J8-expired": (lambda: [bearer(GOOD.token(exp=now(-90)))], 401, "Jwt is expired"),
    "J8-endless": (lambda: [bearer(GOOD.token(exp=None))], 200, "ok"),
    "J8-nbf": (lambda: [bearer(GOOD.token(nbf=now(90)))], 401, "Jwt not yet valid"),
    "J8-nbf-skew": (lambda: [bearer(GOOD.token(nbf=now(30)))], 200, "ok"),
    "J8-text": (lambda: [bearer(GOOD.token(exp="9"))], 401, "Jwt payload [exp] field is not an integer"),
    "J8-iat": (lambda: [bearer(GOOD.token(iat=now(900)))], 200, "ok"),
    "J9-RS256": (lambda: [bearer(GOOD.token())], 200, "ok"),
    "J9-RS384": (lambda: [bearer(GOOD.token(algorithm="RS384"))], 200, "ok"),
    "J9-PS256": (lambda: [bearer(GOOD.token(algorithm="PS256"))], 200, "ok"),
    "J9-PS512": (lambda: [bearer(GOOD.token(algorithm="PS512"))], 200, "ok"),
    "J9-ES256": (lambda: [bearer(GOOD.token(GOOD.ec, "ES256"))], 200, "ok"),
    "J9-EdDSA": (lambda: [bearer(GOOD.token(GOOD.ed, "EdDSA"))], 200, "ok"),
    "J9-none": (lambda: [bearer(f"{b64({'alg': 'none'})}.{b64({'iss': ISSUER})}.")], 401, "alg"),
    "J9-HS-public": (lambda: [bearer(GOOD.forged(PUBLIC, kid="rsa"))], 401, VERIFICATION),
    "J9-HS-no-kid": (lambda: [bearer(GOOD.forged(PUBLIC))], 401, VERIFICATION),
    "J9-crit": (lambda: [bearer(GOOD.token(header={"crit": ["b64"], "b64": True}))], 401, "crit"),
    "J9-own-key": (
        lambda: [bearer(GOOD.token(STRANGER, header={"jwk": STRANGER.published, "kid": None}))],
        401,
        VERIFICATION,
    ),
    "J9-own-url": (
        lambda: [bearer(GOOD.token(STRANGER, header={"jku": "http://127.0.0.1:1/", "kid": "rsa"}))],
        401,
        VERIFICATION,
    ),
    "J10-none": (lambda: [bearer(GOOD.token(header={"kid": None}))], 200, "ok"),
    "J10-unknown": (lambda: [bearer(GOOD.token(header={"kid": "x"}))], 401, "Jwks doesn't have key to match kid"),
    "J10-other": (lambda: [bearer(GOOD.token(header={"kid": "ec"}))], 401, VERIFICATION),
    "J3-signature": (lambda: [bearer(GOOD.token(tamper=lambda text: text[:-8] + "AAAAAAAA"))], 401, VERIFICATION),
    "J3-form": (lambda: [bearer("a.b")], 401, FORM),
    "J3-head": (lambda: [bearer("a!.b.c")], 401, "Jwt header is an invalid Base64url encoded"),
    "J3-end": (lambda: [bearer(GOOD.token() + "=")], 401, "Jwt signature is an invalid Base64url encoded"),
}


@pytest.mark.parametrize("case", SENT)
def test_a_token_is_taken_or_refused(proxy: HboneBench, case: str) -> None:
    made, status, body = SENT[case]
    sent = made()
    for _ in "anew", "kept":
        head, said = ask(proxy, "plain", "/", *sent)
        assert head.status == status and body in said, said


def test_j1_j15_what_the_refused_are_told(proxy: HboneBench) -> None:
    endpoint = proxy.play("plain", serve_ok)
    path = unique()
    head, body = ask(proxy, "plain", f"{path}?access_token=a.b.c", bearer(GOOD.token(exp=1)))
    assert (head.status, body, head["content-type"]) == (401, "Jwt is expired", "text/plain")
    assert head["www-authenticate"] == f'Bearer realm="http://plain{path}", error="invalid_token"', "not the query"
    assert " 401 - jwt_authn_access_denied{Jwt_is_expired} " in proxy.told(path)
    assert endpoint.heads == []


def test_grpc_is_told_in_its_own_words(proxy: HboneBench) -> None:
    proxy.play("grpc", h2_app(h2_name))
    with contextlib.closing(h2_client(proxy.tunnel("grpc"))) as client:
        ask_for = {"method": "POST", "content_type": "application/grpc", "te": "trailers"}
        bad = client.request([*h2_headers("/S/Get", **ask_for), ("authorization", "Bearer a.b")], end=True).answered()
        assert (bad[":status"], bad["grpc-status"], bad["grpc-message"]) == ("200", "16", FORM)
        good = client.request([*h2_headers("/S/Get", **ask_for), ("authorization", f"Bearer {GOOD.token()}")], end=True)
        assert good.answered()[":status"] == "200"


@pytest.mark.parametrize(
    ("aud", "status"),
    [
        pytest.param("two", 200, id="J7-one"),
        pytest.param(["x", "http://api.example"], 200, id="J7-scheme-and-slash"),
        pytest.param("three", 403, id="J7-other"),
        pytest.param(None, 403, id="J7-missing"),
    ],
)
def test_audiences(proxy: HboneBench, aud: Any, status: int) -> None:
    endpoint = proxy.play("aud", serve_ok)
    sent = bearer(GOOD.token(aud=aud))
    head, body = ask(proxy, "aud", "/", sent)
    assert (head.status, body) == (status, "ok" if status == 200 else "Audiences in Jwt are not allowed")
    assert [each["authorization"] for each in endpoint.heads] == ([sent[15:]] if status == 200 else []), "J12: kept"


@pytest.mark.parametrize(
    ("path", "fields", "status", "seen"),
    [
        pytest.param("/", ["x-token: t:{}"], 200, "/", id="J4-header"),
        pytest.param("/", ["x-token: T:{}"], 401, "", id="J4-other-prefix"),
        pytest.param("/", ["x-bare: {}"], 200, "/", id="J4-no-prefix"),
        pytest.param("/", ["authorization: Bearer {}"], 401, "", id="J4-not-the-default"),
        pytest.param("/?a=1&tok={}&b=2", [], 200, "/?a=1&b=2", id="J4,J12-param"),
        pytest.param("/?tok={}", [], 200, "/", id="J4,J12-only-param"),
        pytest.param("/?%74ok={}&x", [], 200, "/?x", id="J4-param-encoded"),
        pytest.param("/", ["cookie: a=b; sess={}"], 200, "/", id="J4,J12-cookie"),
        pytest.param("/?tok=a.b.c", ["x-bare: {}"], 401, "", id="J5-one-bad"),
        pytest.param("/", ["x-token: t:"], 401, "", id="J4-empty-header"),
        pytest.param("/?tok=", [], 401, "", id="J4-empty-param"),
        pytest.param("/", ["cookie: sess="], 401, "", id="J4-empty-cookie"),
        pytest.param("/", [], 401, "", id="presence-required"),
    ],
)
def test_places(proxy: HboneBench, path: str, fields: list[str], status: int, seen: str) -> None:
    endpoint = proxy.play("places", serve_ok)
    token = GOOD.token()
    head, body = ask(proxy, "places", path.format(token), *(each.format(token) for each in fields))
    assert head.status == status, body
    if status == 200:
        (got,) = endpoint.heads
        assert got.first == f"GET {seen} HTTP/1.1"
        assert "x-token" not in got and "x-bare" not in got
        assert ("cookie" in got) == any("cookie" in each for each in fields), "J12: Envoy keeps cookies"


def test_j12_j13_what_endpoints_are_told(proxy: HboneBench) -> None:
    endpoint = proxy.play("out", serve_ok)
    claims: dict[str, Any] = {"n": 5, "yes": True, "a": {"b": "nested"}, "list": ["x", 1], "bad": "a\r\nx-admin: yes"}
    forged = [f"X-{name}: forged" for name in ("payload", "sub", "n", "none", "bad")]
    token = GOOD.token(**claims)
    for _ in "anew", "kept":
        assert ask(proxy, "out", "/", bearer(token), *forged)[0].status == 200
    for got in endpoint.heads:
        assert json.loads(base64.urlsafe_b64decode(got["x-payload"] + "==="))["sub"] == "alice"
        assert {name: got.get(f"x-{name}") for name in ("sub", "n", "yes", "a-b", "none", "bad", "admin")} == {
            **{"sub": "alice", "n": "5", "yes": "true", "a-b": "nested"},
            **{"none": None, "bad": None, "admin": None},
        }
        assert base64.b64decode(got["x-list"], validate=True) == b'["x",1]'
        assert "authorization" not in got
    endpoint.heads.clear()
    assert ask(proxy, "out", "/", *forged)[0].status == 200
    assert not [name for name in endpoint.heads[0] if name.startswith(("x-payload", "x-sub", "x-none"))], "no token"
    large = GOOD.token(more="x" * 25_000)
    assert ask(proxy, "out", "/", bearer(large))[0].status == 431, "with the payload the head is larger than any may be"


@pytest.mark.parametrize("issuer", [GOOD, SECOND])
def test_j11_one_of_several_issuers_is_enough(proxy: HboneBench, issuer: Issuer) -> None:
    assert ask(proxy, "two", "/", bearer(issuer.token()))[0].status == 200
    assert ask(proxy, "two", "/", bearer(issuer.token(exp=1)))[1] == "Jwt is expired"
    assert ask(proxy, "two", "/", bearer(issuer.token(iss="https://third.example")))[1] == NO_ISSUER


@pytest.mark.parametrize(
    ("path", "claims", "status"),
    [
        pytest.param("/alice", {}, 200, id="E23"),
        pytest.param("/alice", {"sub": "bob"}, 403, id="E23-bob"),
        pytest.param("/any", {}, 200, id="E21"),
        pytest.param("/any", {"sub": None}, 403, id="E21-no-sub"),
        pytest.param("/any", {"exp": 1}, 401, id="E21-bad,J3"),
        pytest.param("/groups", {"groups": ["u", "ops"]}, 200, id="E24-list"),
        pytest.param("/groups", {"groups": "u ops"}, 403, id="E24-spaced"),
        pytest.param("/groups", {}, 403, id="E24-absent"),
        pytest.param("/roles", {"roles": "u ops"}, 200, id="Z30-spaceDelimitedClaims"),
        pytest.param("/n", {"n": 5}, 403, id="E25-number"),
        pytest.param("/n", {"n": "5"}, 200, id="E25-text"),
        pytest.param("/user", {"sub": "root"}, 200, id="J13-rules-see-it"),
        pytest.param("/user", {"sub": "alice"}, 403, id="J13-rules-see-no-forged-one"),
    ],
)
def test_who_gets_in_by_a_token(proxy: HboneBench, path: str, claims: dict[str, Any], status: int) -> None:
    sent = bearer(GOOD.token(**claims))
    for _ in "anew", "kept":
        head, body = ask(proxy, "who", path, sent, "x-user: root")
        assert head.status == status, body
    assert status != 403 or body == DENIED
    assert ask(proxy, "who", path, "x-user: root")[0].status == 403, "without a token nobody does"


@pytest.mark.parametrize(
    ("service", "status"), [pytest.param("plain", 200, id="J14"), pytest.param("who", 403, id="J14,E36")]
)
def test_what_a_browser_asks_first_has_no_token(proxy: HboneBench, service: str, status: int) -> None:
    asks = ["origin: http://a.example", "access-control-request-method: PUT", bearer("bad")]
    assert ask(proxy, service, "/any", *asks, method="OPTIONS")[0].status == status
    assert ask(proxy, service, "/any", *asks[::2], method="OPTIONS")[0].status == 401, "it is no such question"
    assert ask(proxy, service, "/any", *asks)[0].status == 401


V8: dict[str, tuple[dict[str, Any], int]] = {
    "list": ({"a": {"B": ["x", "ops"]}}, 301),
    "text": ({"a": {"B": "ops"}}, 301),
    "case": ({"a": {"b": "ops"}}, 200),
}


@pytest.mark.parametrize("case", [*V8, "no-token"])
def test_v8_claims_choose_a_route(proxy: HboneBench, case: str) -> None:
    claims, status = V8.get(case, ({}, 200))
    sent = [bearer(GOOD.token(**claims))] if case in V8 else []
    assert ask(proxy, "routed", "/", "request.auth.claims.a.b: ops", *sent)[0].status == status


def test_e26_nobody_verifies_what_no_rule_is_for(proxy: HboneBench) -> None:
    put(proxy, authorization("moved", {"from": [{"source": {"requestPrincipals": ["*"]}}]}))
    assert ask(proxy, "moved", "/", bearer(GOOD.token()))[0].status == 403


def test_what_cannot_be_read_closes_what_it_targets(proxy: HboneBench) -> None:
    assert ask(proxy, "unread")[0].status == 200
    put(proxy, authentication("unread", [rule()]))
    proxy.manifests.put("RequestAuthentication-unread", authentication("unread", [{"issuer": ISSUER, "jwks": "{}"}]))
    proxy.told("RequestAuthentication httpbin/unread: spec.jwtRules[0].jwks: is no JSON Web Key Set")
    assert ask(proxy, "unread", "/", bearer(GOOD.token()))[0].status == 200, "the last good one stays"
    proxy.manifests.put("RequestAuthentication-unread", authentication("unread", [rule()]))


def test_j15_keys_that_come_later_change_and_are_kept(proxy: HboneBench, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    by_uri, found = rule(jwksUri=f"{url}/jwks"), {"issuer": url}
    put(proxy, authentication("late", [by_uri, found]))
    proxy.told("keys cannot be fetched", f"{url}/jwks", "tokens are refused (401)")
    token, discovered = bearer(GOOD.token()), bearer(GOOD.token(iss=url))
    assert ask(proxy, "late", "/", token)[1] == "Jwks remote fetch is failed"
    assert ask(proxy, "late")[0].status == 200, "who has none gets in as before"
    server = KeyServer(port)
    server.pages = {
        "/jwks": f"{url}/moved",
        "/moved": GOOD.jwks,
        "/.well-known/openid-configuration": json.dumps({"jwks_uri": f"{url}/jwks"}),
    }
    with server.serving():
        wait_until(lambda: ask(proxy, "late", "/", token)[0].status == 200, 10, "the keys are there")
        wait_until(lambda: ask(proxy, "late", "/", discovered)[0].status == 200, 10, "and those of the other issuer")
        soon = rsa_key("soon")
        server.pages["/moved"] = keys_of(soon, GOOD.rsa)
        early = bearer(GOOD.token(soon))
        wait_until(lambda: ask(proxy, "late", "/", early)[0].status == 200, 10, "a key that nobody knew is asked for")
        asked = len(server.asked)
        for _ in range(20):
            ask(proxy, "late", "/", bearer(GOOD.token(header={"kid": unique()})))
        assert len(server.asked) == asked, "no request has keys fetched, and nobody does so soon again"
        fresh = rsa_key("fresh")
        server.pages["/moved"] = keys_of(fresh)
        os.kill(proxy.waypoint.pid, signal.SIGHUP)
        new = bearer(GOOD.token(fresh))
        wait_until(lambda: ask(proxy, "late", "/", new)[0].status == 200, 10, "the new ones are")
        assert ask(proxy, "late", "/", token)[0].status == 401, "no verdict outlives the keys"
    os.kill(proxy.waypoint.pid, signal.SIGHUP)
    proxy.told("keys cannot be fetched", f"{url}/jwks", "going on with those of before")
    assert ask(proxy, "late", "/", new)[0].status == 200
    shown = proxy.replica.info("/config_dump")["keys"][f"{url}/jwks"]
    assert shown["known"] and shown["failures"] == 1 and "refused" in shown["error"].lower()
    _kill_controller(proxy)
    assert ask(proxy, "late", "/", new)[0].status == 200, "a new controller goes on with them"
    assert ask(proxy, "late", "/", token)[0].status == 401


def _kill_controller(proxy: HboneBench) -> None:
    """And wait until there is another, which has told the worker what it knows."""
    before = proxy.replica.info("/server_info")
    os.kill(before["controller_pid"], signal.SIGKILL)

    def back() -> bool:
        with contextlib.suppress(OSError):
            info = proxy.replica.info("/server_info")
            ready = info["state"] == "ready" and info["snapshot"] >= before["snapshot"]
            return bool(ready and info["controller_pid"] != before["controller_pid"])
        return False

    wait_until(back, 20, "there is a new controller")
    wait_until(lambda: proxy.replica.info("/config_dump")["keys"], 10, "which has read the manifests")
