"""What a token is worth, without a request: rows J of the reference (l7-policy.md PART 4) that no endpoint shows."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.tokens import claims, strict
from proxy.policy.tokens.keys import MOST_KEYS, Unusable, read_keys
from proxy.policy.tokens.token import Expected, Refused, Token, plain_audience, read, verify
from tests.issuer_rig import ISSUER, Issuer, SigningKey, b64, ec_key, keys_of, rsa_key

ISSUES = Issuer()
NOW = 2_000_000_000.0
KEYS = read_keys(ISSUES.jwks)[0]
RS256 = b64({"alg": "RS256"})
LONG, TWICE = f'{{"n": {"9" * 9999}}}', '{"sub": "a", "sub": "b"}'


def refusal(token: str, keys: str = ISSUES.jwks, issuer: str = ISSUER, *audiences: str) -> str:
    """ "" if the token is taken."""
    try:
        verify(read(token.encode()), Expected(issuer, frozenset(audiences)), read_keys(keys)[0], NOW)
    except Refused as fault:
        return fault.text
    return ""


def token(**claims: Any) -> str:
    return ISSUES.token(**{"exp": NOW, **claims})


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *((ISSUES.rsa, f"{family}{bits}") for family in ("RS", "PS") for bits in (256, 384, 512)),
        *((ec_key("e", curve), name) for curve, name in (("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512"))),
        (ISSUES.ed, "EdDSA"),
    ],
    ids=lambda value: f"J9-{value}" if isinstance(value, str) else "",
)
def test_algorithms(key: SigningKey, algorithm: str) -> None:
    signed = ISSUES.token(key, algorithm, exp=NOW)
    assert refusal(signed, keys_of(key)) == ""
    assert refusal(signed, keys_of(rsa_key(key.kid))) == "Jwt verification fails"
    other = {"RS256": "PS256", "ES256": "ES384"}.get(algorithm, "RS256")
    claimed = f"{b64({'alg': other, 'kid': key.kid})}.{signed.partition('.')[2]}"
    assert refusal(claimed, keys_of(key)) == "Jwt verification fails"


@pytest.mark.parametrize(
    ("exp", "nbf", "said"),
    [
        pytest.param(NOW - 60, None, "", id="J8-within-skew"),
        pytest.param(NOW - 61, None, "Jwt is expired", id="J8-behind-skew"),
        pytest.param(None, NOW + 60, "", id="J8-nbf-within-skew"),
        pytest.param(None, NOW + 61, "Jwt not yet valid", id="J8-nbf-before-skew"),
        pytest.param(True, None, "Jwt payload [exp] field is not an integer", id="J8-boolean"),
        pytest.param(-1, None, "Jwt payload [exp] field overflows the positive integer", id="J8-negative"),
        pytest.param(1e400, None, "Jwt payload is an invalid JSON", id="J8-infinite"),
        pytest.param(NOW + 0.5, None, "", id="J8-fraction"),
    ],
)
def test_times(exp: Any, nbf: Any, said: str) -> None:
    assert refusal(token(exp=exp, nbf=nbf)) == said


def test_j6_without_an_issuer_any_is_taken() -> None:
    assert refusal(token(iss=None), issuer="") == refusal(token(iss="anybody"), issuer="") == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a/b/", "a/b", True),
        ("http://a", "https://a/", True),
        ("a//", "a/", False),
        ("A", "a", False),
        ("ftp://a", "a", False),
    ],
    ids=lambda value: f"J7-{value}",
)
def test_audiences(one: str, other: str, same: bool) -> None:
    assert (plain_audience(one) == plain_audience(other)) is same


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: token(aud=[1]), "Jwt payload [aud] field is not a string or string list"),
        (lambda: token(sub=1), "Jwt payload [sub] field is not a string"),
        (lambda: ISSUES.token(header={"kid": 5}), "Jwt header [kid] field is not a string"),
        (lambda: ISSUES.token(header={"alg": None}), "Jwt header [alg] field is required and must be a string"),
        (lambda: ISSUES.token(header={"alg": "RS1"}), "Jwt header [alg] is not supported"),
        (lambda: ISSUES.token(header={"crit": []}), "Jwt header [crit] is not supported"),
        (lambda: f"{b64(b'[]')}.e30.", "Jwt header is an invalid JSON"),
        (lambda: f"{b64(b'{')}.e30.", "Jwt header is an invalid JSON"),
        (lambda: f"{RS256}.{b64('[' * 9999)}.", "Jwt payload is an invalid JSON"),
        (lambda: f"{RS256}.{b64(LONG)}.", "Jwt payload is an invalid JSON"),
        (lambda: f"{RS256}.{b64(TWICE)}.", "Jwt payload is an invalid JSON"),
        (lambda: "..", "Jwt header is an invalid JSON"),
    ],
)
def test_j3_what_is_no_token(made: Callable[[], str], said: str) -> None:
    assert refusal(made()) == said


@pytest.mark.parametrize("text", [b"YQ==", b"YR", b"A", b"a+b/", b"YQ\n", "ä".encode()])
def test_base64url_is_read_as_one_writes_it(text: bytes) -> None:
    with pytest.raises(ValueError, match="base64url"):
        strict.octets(text)


def test_j15_unknown_keys_refuse_every_token() -> None:
    with pytest.raises(Refused, match="Jwks remote fetch is failed"):
        verify(read(token().encode()), Expected(ISSUER, frozenset()), (), NOW)


def test_a_token_is_good_as_long_as_it_says() -> None:
    made: Token = read(token(exp=7).encode())
    assert made.expires == 67
    assert read(token(exp=None).encode()).expires is None


@given(st.data())
def test_whatever_is_sent_is_taken_or_refused_and_breaks_nothing(data: st.DataObject) -> None:
    key, algorithm = data.draw(st.sampled_from(((ISSUES.rsa, "RS256"), (ISSUES.ec, "ES256"), (ISSUES.ed, "EdDSA"))))
    parts = ISSUES.token(key, algorithm, exp=NOW).encode().split(b".")
    at = data.draw(st.integers(0, 2))
    piece = data.draw(st.binary(max_size=80) | st.binary(max_size=80).map(lambda octets: b64(octets).encode()))
    parts[at] = data.draw(st.sampled_from((piece, parts[at] + piece, parts[at][: len(piece)])))
    whole = b".".join(parts)
    try:
        verify(read(whole), Expected(ISSUER, frozenset()), KEYS, NOW)
    except Refused:
        return
    assert whole == ISSUES.token(key, algorithm, exp=NOW).encode() or algorithm == "ES256"


# -- keys -------------------------------------------------------------------------------------------------------------

WEAK = rsa_key("weak", 1024)
PUBLISHED = ISSUES.rsa.published


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON Web Key Set"),
        ("[]", "is no JSON Web Key Set"),
        ("{}", 'has no list "keys"'),
        ('{"keys": []}', "it is empty"),
        ('{"keys": [1]}', "keys[0] is no JSON object"),
        (json.dumps({"keys": [PUBLISHED | {"use": "enc"}]}), "is not for signatures"),
        (json.dumps({"keys": [PUBLISHED | {"key_ops": ["sign"]}]}), "is not for signatures"),
        (json.dumps({"keys": [PUBLISHED | {"alg": "ES256"}]}), "kty=RSA alg=ES256"),
        (json.dumps({"keys": [PUBLISHED | {"kid": 1}]}), "kid that is no text"),
        (json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}), "cannot be read"),
        (json.dumps({"keys": [{"kty": "RSA"}]}), "cannot be read"),
        (json.dumps({"keys": [{"kty": "oct", "k": b64(b"short")}]}), "of no type that is known"),
        (keys_of(WEAK), "has 1024 bits; from 2048 to 8192 are taken"),
        (json.dumps({"keys": [PUBLISHED] * (MOST_KEYS + 1)}), f"at most {MOST_KEYS}"),
        (json.dumps({"keys": [PUBLISHED], "pad": "x" * 300_000}), "is longer than 256 KiB"),
    ],
)
def test_what_is_no_set_of_keys(text: str, said: str) -> None:
    with pytest.raises(Unusable) as refused:
        read_keys(text)
    assert said in str(refused.value)


def test_a_set_is_taken_without_the_keys_that_cannot_be_used() -> None:
    keys, wrong = read_keys(keys_of(WEAK, ISSUES.rsa, SigningKey("x", None, {"kty": "new", "kid": "x"})))
    assert [key.kid for key in keys] == ["rsa"]
    assert len(wrong) == 2


def test_j9_a_key_is_for_its_own_algorithm_alone() -> None:
    published = json.dumps({"keys": [PUBLISHED | {"alg": "PS256"}]})
    assert refusal(ISSUES.token(algorithm="PS256", exp=NOW), published) == ""
    assert refusal(token(), published) == "Jwt verification fails"


def test_j9_a_secret_verifies_what_is_signed_with_it() -> None:
    secret = b"s" * 32
    published = json.dumps({"keys": [{"kty": "oct", "k": b64(secret)}]})
    assert refusal(ISSUES.forged(secret), published) == ""
    assert refusal(ISSUES.forged(secret[1:]), published) == "Jwt verification fails"


# -- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("text", b"text"),
        (" a ", b"a"),
        ("ä", "ä".encode()),
        (7, b"7"),
        (False, b"false"),
        (1.5, b"1.5"),
        (1e3, b"1000"),
        ("", None),
        ({"a": "?>ÿ"}, base64.b64encode('{"a":"?>ÿ"}'.encode())),
        ([], b"W10="),
        (None, None),
        ("a\nb", None),
        ("a\x7fb", None),
    ],
    ids=lambda value: f"J13-{value!r}",
)
def test_claims_in_headers(value: Any, written: bytes | None) -> None:
    assert claims.header_value({"a": {"b": value}}, "a.b") == written


def test_j13_a_claim_is_found_by_its_path() -> None:
    assert claims.header_value({"a.b": "x"}, "a.b") is None
    assert claims.header_value({"a": "x"}, "a.b") is None
