"""What a worker keeps of the tokens that it has seen, and for how long."""

import time
from typing import Any

from proxy.controller.token_form import token_form
from proxy.mesh.traffic.tokens import ClaimToHeader, FromHeader, JwtRule
from proxy.policy.tokens.keys import read_keys
from tests.instruments.inspect_tokens import Judge
from tests.issuer_rig import ISSUER, Issuer

ISSUES = Issuer()
KEYS = read_keys(ISSUES.jwks)[0]
NOW = time.time()


def judge(asked: tuple[str, ...] = (), **said: Any) -> Judge:
    rule = JwtRule(ISSUER, jwks=ISSUES.jwks, **said)
    return Judge([token_form(rule)], {rule.keys.name: KEYS}, list(asked))


def head(token: str, *fields: str, path: str = "/") -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: web", *([f"authorization: Bearer {token}"] if token else []), *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_verdict_holds_no_longer_than_the_token_and_five_minutes() -> None:
    bench = judge()
    short, endless = ISSUES.token(exp=int(NOW) + 100), ISSUES.token(exp=None)
    for token in (short, endless):
        assert bench.judge(head(token), NOW)[0] is None
    assert bench.kept[0] == 2
    bench.judge(head(endless), NOW + 299)
    assert bench.kept[0] == 2
    assert bench.judge(head(short), NOW + 170)[0] == "Jwt is expired"
    assert bench.judge(head(short), NOW + 30)[0] == "Jwt is expired", "for a few seconds"
    assert bench.judge(head(endless), NOW + 301)[0] is None


def test_what_is_kept_is_bounded_and_the_newest_stay() -> None:
    bench = judge()
    for number in range(9000):
        bench.judge(head(f"{number}.b.c"), NOW)
    assert 8000 < bench.kept[0] <= 8192
    for number in range(400):
        bench.judge(head(f"{number}.{'b' * 50_000}.c"), NOW)
    count, size = bench.kept
    assert count < 200
    assert size <= 8 << 20


def test_verdicts_are_each_rules_own() -> None:
    form = [
        token_form(JwtRule(ISSUER, jwks=ISSUES.jwks, from_headers=(FromHeader("x-a"),), audiences=("a",))),
        token_form(JwtRule(ISSUER, jwks=ISSUES.jwks, from_headers=(FromHeader("x-b"),))),
    ]
    bench = Judge(form, {form[0]["keys"]: KEYS})
    token = ISSUES.token()
    assert bench.judge(head("", f"x-a: {token}"), NOW)[0] == "Audiences in Jwt are not allowed"
    assert bench.judge(head("", f"x-b: {token}"), NOW)[0] is None
    assert bench.judge(head("", f"x-a: {token}", f"x-b: {token}"), NOW)[0] is None, "J11: one is enough"


def test_j5_several_good_tokens_are_all_told_and_the_first_is_who_asks() -> None:
    bench = judge(
        ("request.auth.principal",),
        from_headers=(FromHeader("x-a"), FromHeader("x-b")),
        output_claim_to_headers=(ClaimToHeader("x-sub", "sub"),),
    )
    refusal, claims, sent = bench.judge(head("", f"x-b: {ISSUES.token(sub='b')}", f"x-a: {ISSUES.token()}"), NOW)
    assert (refusal, claims) == (None, [(0, f"{ISSUER}\0alice".encode())])
    assert b"x-sub: alice\r\nx-sub: b\r\n\r\n" in sent
    assert b"x-a" not in sent and b"x-b" not in sent


def test_j12_a_parameter_is_cut_out_wherever_it_stands() -> None:
    bench, token = judge(), ISSUES.token()
    for path, left in {
        "/?access_token={}": "/",
        "/a?access_token={}&b=1": "/a?b=1",
        "/a?b=1&access_token={}&c": "/a?b=1&c",
        "/a?b&access_token={0}&access_token={0}": "/a?b",
    }.items():
        refusal, _, sent = bench.judge(head("", path=path.format(token)), NOW)
        assert (refusal, sent.split(b" ")[1].decode()) == (None, left)
    assert bench.judge(head("", path="/a?access_token="), NOW)[0] is not None, "J4: an empty one is no good one"


def test_what_a_cached_token_costs_is_little_beside_its_signature() -> None:
    bench, token = judge(("request.auth.principal",)), ISSUES.token()
    begun = time.perf_counter_ns()
    bench.judge(head(token), NOW)
    anew = time.perf_counter_ns() - begun
    assert bench.nanoseconds(head(token), NOW, 2000) < anew
