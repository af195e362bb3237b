"""What answers to requests of other origins say."""

import re

import pytest

from proxy.policy.cors import CorsPolicy, allows, answer_fields, preflight_fields

LIKE = (re.compile(rb"https://[^/:]+\.bar\.com").fullmatch,)
BAR = CorsPolicy(exact={b"https://www.foo.com"}, like=[lambda text: LIKE[0](text) is not None])


@pytest.mark.parametrize(
    ("policy", "origin", "allowed"),
    [
        pytest.param(BAR, b"https://www.foo.com", True, id="C1-exact"),
        pytest.param(BAR, b"http://www.foo.com", False, id="C1-another-scheme"),
        pytest.param(BAR, b"https://www.foo.com:8443", False, id="C1-another-port"),
        pytest.param(BAR, b"https://a.b.bar.com", True, id="C1-like"),
        pytest.param(BAR, b"https://foobar.com", False, id="C1-not-like"),
        pytest.param(BAR, b"null", False, id="C8-null"),
        pytest.param(CorsPolicy(), b"https://www.foo.com", False, id="C1-none"),
        pytest.param(CorsPolicy(exact={b"*"}), b"null", True, id="V18-any"),
    ],
)
def test_origins(policy: CorsPolicy, origin: bytes, allowed: bool) -> None:
    assert allows(policy, origin) == allowed


LISTED = CorsPolicy(methods=b"GET,POST", headers=b"x-a", expose=b"x-b", max_age=5)
ALL = CorsPolicy(methods=b"*", headers=b"*", expose=b"*", credentials=True)


@pytest.mark.parametrize(
    ("policy", "headers", "said"),
    [
        pytest.param(CorsPolicy(), b"x-c", {}, id="C3-no-more-than-the-origin"),
        pytest.param(
            LISTED,
            b"x-c",
            {"allow-methods": b"GET,POST", "allow-headers": b"x-a", "expose-headers": b"x-b", "max-age": b"5"},
            id="C4-C7-as-configured",
        ),
        pytest.param(
            ALL,
            b"x-c, x-d",
            {"allow-methods": b"PUT", "allow-headers": b"x-c, x-d", "allow-credentials": b"true"},
            id="C6-what-was-asked-for",
        ),
        pytest.param(ALL, b"", {"allow-methods": b"PUT", "allow-credentials": b"true"}, id="C6-nothing-was"),
    ],
)
def test_preflights(policy: CorsPolicy, headers: bytes, said: dict[str, bytes]) -> None:
    fields = dict(preflight_fields(policy, b"https://o", b"PUT", headers))
    assert fields == {
        f"access-control-{name}".encode(): value for name, value in {"allow-origin": b"https://o", **said}.items()
    }


def test_C3_C7_other_answers() -> None:
    assert answer_fields(LISTED, b"https://o") == [
        (b"access-control-allow-origin", b"https://o"),
        (b"access-control-expose-headers", b"x-b"),
    ]
    assert (b"access-control-allow-credentials", b"true") in answer_fields(ALL, b"https://o")
