"""RequestAuthentications as they are read: rows J of the reference, and what Istio's webhook refuses."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.controller.token_form import token_form
from proxy.mesh.resolving.issuers import sources
from proxy.mesh.traffic.tokens import ClaimToHeader, FromHeader, JwtRule, KeySource
from tests.issuer_rig import Issuer, keys_of, rsa_key
from tests.unit.mesh.mesh_rig import Object, clusters, faults, service, shop, thing, warnings

ISSUES = Issuer()
TARGET: dict[str, Any] = {"targetRefs": [{"kind": "Service", "group": "", "name": "cart"}]}


def policy(*rules: dict[str, Any], name: str = "tokens", **spec: Any) -> Object:
    return thing("RequestAuthentication", "security.istio.io/v1", name, spec=TARGET | {"jwtRules": list(rules)} | spec)


def test_a_rule_as_it_is_read() -> None:
    said = {
        "issuer": "https://a",
        "audiences": ["b"],
        "jwksUri": "https://a/jwks",
        "fromHeaders": [{"name": "X-A", "prefix": "t "}, {"name": "x-b"}],
        "fromParams": ["p"],
        "fromCookies": ["c"],
        "outputPayloadToHeader": "X-Payload",
        "outputClaimToHeaders": [{"header": "X-Sub", "claim": "sub"}],
        "forwardOriginalToken": True,
        "spaceDelimitedClaims": ["roles"],
        "timeout": "2s",
        "presence": "REQUIRED",
    }
    (rule,) = clusters(*shop(policy(said)))["shop/cart:80"].tokens
    assert rule == JwtRule(
        issuer="https://a",
        audiences=("b",),
        jwks_uri="https://a/jwks",
        from_headers=(FromHeader("x-a", "t "), FromHeader("x-b")),
        from_params=("p",),
        from_cookies=("c",),
        output_payload_to_header="x-payload",
        output_claim_to_headers=(ClaimToHeader("x-sub", "sub"),),
        forward_original_token=True,
        space_delimited_claims=("roles",),
        timeout_ms=2000,
        required=True,
    )
    form = token_form(rule)
    assert form["keys"] == "https://a/jwks"
    assert form["places"] == [("header", "x-a", "t "), ("header", "x-b", ""), ("param", "p", ""), ("cookie", "c", "")]


def test_j1_all_rules_of_all_policies_of_a_target_by_issuer() -> None:
    one, other = policy({"issuer": "c"}, {"issuer": "a"}, name="one"), policy({"issuer": "b"}, name="other")
    found = clusters(*shop(one, other, service("till")))
    assert [each.issuer for each in found["shop/cart:80"].tokens] == ["a", "b", "c"]
    assert found["shop/till:80"].tokens == ()


def test_j4_without_a_place_tokens_are_where_envoy_looks() -> None:
    assert token_form(JwtRule("a"))["places"] == [("header", "authorization", "Bearer "), ("param", "access_token", "")]


def test_j15_where_keys_are_and_the_longest_patience() -> None:
    rules: list[dict[str, Any]] = [
        {"issuer": "https://a", "jwks": ISSUES.jwks},
        {"issuer": "https://b", "jwks_uri": "http://b/old"},
        {"issuer": "https://c", "timeout": "7s"},
        {"issuer": "https://c", "audiences": ["x"]},
        {"jwksUri": "http://any"},
    ]
    assert sources(clusters(*shop(policy(*rules)))) == {
        KeySource(jwks=ISSUES.jwks): 5000,
        KeySource(uri="http://b/old"): 5000,
        KeySource(issuer="https://c"): 7000,
        KeySource(uri="http://any"): 5000,
    }


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "jwtRules[0].issuer: is required, unless jwksUri"),
        ({"jwks": ISSUES.jwks}, "jwtRules[0].issuer: is required, unless jwksUri"),
        ({"issuer": ""}, "issuer: must not be empty"),
        ({"issuer": "a", "jwksUri": "ftp://a"}, 'jwksUri: must be an http:// or https:// URL, not "ftp://a"'),
        ({"issuer": "a", "jwksUri": "https://"}, "jwksUri: must be an http:// or https:// URL"),
        ({"issuer": "a", "jwks_uri": "http://a:x"}, "jwks_uri: must be an http:// or https:// URL"),
        ({"issuer": "a", "jwks": "{", "jwksUri": "https://a"}, "jwks: is no JSON Web Key Set"),
        ({"issuer": "a", "jwks": ISSUES.jwks, "jwksUri": "https://a"}, "cannot be used together with jwks"),
        ({"issuer": "a", "jwks": keys_of(rsa_key("weak", 1024))}, "1024 bits"),
        ({"issuer": "a", "audiences": [""]}, "audiences[0]: must not be empty"),
        ({"issuer": "a", "fromHeaders": [{"prefix": "x"}]}, "fromHeaders[0].name: is required"),
        ({"issuer": "a", "fromHeaders": [{"name": "a b"}]}, "fromHeaders[0].name: must be the name of a header"),
        ({"issuer": "a", "fromHeaders": [{"name": "a"}] * 17}, "fromHeaders: has 17 items"),
        ({"issuer": "a", "fromParams": [""]}, "fromParams[0]: must not be empty"),
        (
            {"issuer": "a", "outputPayloadToHeader": "Host"},
            'outputPayloadToHeader: "Host" says how a request is framed',
        ),
        ({"issuer": "a", "outputClaimToHeaders": [{"header": "x"}]}, "outputClaimToHeaders[0].claim: is required"),
        ({"issuer": "a", "timeout": "61s"}, "timeout: must be from 1ms to 60s"),
        ({"issuer": "a", "presence": "ALWAYS"}, "presence: must be one of OPTIONAL, REQUIRED"),
    ],
)
def test_what_is_no_rule(rule: dict[str, Any], said: str) -> None:
    assert said in "\n".join(faults(*shop(policy(rule))))


def test_what_does_nothing_is_said() -> None:
    assert "has no jwtRules, so it does nothing" in warnings(*shop(policy()))
    partly = keys_of(ISSUES.rsa, rsa_key("weak", 1024))
    assert "jwks: keys[1] has 1024 bits" in warnings(*shop(policy({"issuer": "a", "jwks": partly})))
