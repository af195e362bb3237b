"""SPIFFE IDs rule by rule: what the specifications (SPIFFE-ID 2, X509-SVID 2 to 5) have, and Istio's form.

Each case is a name as a certificate might have it; whoever reads one differently from us could be made to believe it is
somebody else.
"""

from __future__ import annotations

import pytest

from proxy.wire.tls.mesh import LONGEST_IDENTITY, identity_in, trust_domain_of

PATH = "ns/httpbin/sa/in-ambient"
GOOD = f"spiffe://cluster.local/{PATH}"


@pytest.mark.parametrize(
    "uri",
    [
        GOOD,
        f"spiffe://a/{PATH}",
        f"spiffe://1.2.3.4/{PATH}",
        f"spiffe://td_1-x.example/{PATH}",
        f"spiffe://{'a' * 255}/{PATH}",
        "spiffe://cluster.local/ns/A/sa/B",  # paths know capitals (2.2)
        "spiffe://cluster.local/ns/a.b/sa/c_d-e.f",
        "spiffe://cluster.local/ns/.../sa/..a",
        "spiffe://cluster.local/ns/a/sa/" + "x" * (LONGEST_IDENTITY - len("spiffe://cluster.local/ns/a/sa/")),
    ],
)
def test_what_is_an_identity(uri: str) -> None:
    assert identity_in([uri]) == uri
    assert trust_domain_of(uri) == uri.removeprefix("spiffe://").partition("/")[0]


NOT = {
    "scheme, 2": ["", "spiffe", "spiffe:", "spiffe:/", "spiffe://", f"//cluster.local/{PATH}", f"https://td/{PATH}"],
    "scheme in capitals": [f"SPIFFE://cluster.local/{PATH}", f"Spiffe://cluster.local/{PATH}"],
    "another word before it": [f" {GOOD}", f"x{GOOD}", f"\n{GOOD}", f"urn:{GOOD}"],
    "no trust domain, 2": [f"spiffe:///{PATH}"],
    "a trust domain in capitals, 2.1": [f"spiffe://Cluster.local/{PATH}", f"spiffe://CLUSTER.LOCAL/{PATH}"],
    "other characters in the trust domain, 2.1": [
        *(f"spiffe://td{odd}x/{PATH}" for odd in " %!$&'()*+,;=~[]\\\"<>^`{|}\t"),
        f"spiffe://t\xe4.example/{PATH}",
        f"spiffe://xn--t%C3%A4/{PATH}",
    ],
    "userinfo or port, 2.1": [f"spiffe://{odd}/{PATH}" for odd in ("a@b", "a:b@c", "@b", "td:", "td:1", "[::1]", ":1")],
    "no path, X509-SVID 3.1": ["spiffe://cluster.local", "spiffe://cluster.local/"],
    "a trailing slash, 2.2": [f"{GOOD}/"],
    "an empty segment, 2.2": [
        *("spiffe://cluster.local//ns/a/sa/b", "spiffe://cluster.local/ns//sa/b", "spiffe://cluster.local/ns/a//sa/b"),
        *("spiffe://cluster.local/ns/a/sa//b", "spiffe://cluster.local/ns/a/sa/"),
    ],
    "a dot segment, 2.2": [
        *(f"spiffe://cluster.local/ns/{dots}/sa/b" for dots in (".", "..")),
        *(f"spiffe://cluster.local/ns/a/sa/{dots}" for dots in (".", "..")),
        *("spiffe://cluster.local/./ns/a/sa/b", "spiffe://cluster.local/x/../ns/a/sa/b"),
    ],
    "other characters in the path, 2.2": [
        *(f"spiffe://cluster.local/ns/a/sa/b{odd}c" for odd in " !$&'()*+,;=:@~[]\\\"<>^`{|}\t\r\n\x00\x7f\xe4"),
        *(f"spiffe://cluster.local/ns/a/sa/b{odd}" for odd in ("\n", "\x00", " ")),
    ],
    "percent encoding, 2.2": [
        *(f"spiffe://cluster.local/ns/a/sa/{odd}" for odd in ("%62", "b%2Fc", "%2e%2e", "b%00", "b%", "b%zz")),
        "spiffe://cluster.local/ns%2Fa/sa/b",
    ],
    "query or fragment, 2": [f"{GOOD}{odd}" for odd in ("?", "?a=b", "#", "#a", "?a#b")],
    "too long, 2.3": [f"spiffe://{'a' * 256}/{PATH}", GOOD + "x" * (LONGEST_IDENTITY + 1 - len(GOOD))],
    "not Istio's form": [
        *("spiffe://cluster.local/a", "spiffe://cluster.local/ns/a", "spiffe://cluster.local/sa/b/ns/a"),
        *(f"{GOOD}/x", f"spiffe://cluster.local/x/{PATH}", "spiffe://cluster.local/NS/a/SA/b"),
    ],
}


@pytest.mark.parametrize("uri", [pytest.param(uri, id=f"{why}: {uri[:60]!r}") for why in NOT for uri in NOT[why]])
def test_what_is_none(uri: str) -> None:
    assert identity_in([uri]) is None
    assert trust_domain_of(uri) == ""


@pytest.mark.parametrize(
    "uris",
    [[], [GOOD, GOOD], [GOOD, f"spiffe://other/{PATH}"], [GOOD, "https://cluster.local/"], ["urn:x", GOOD], [GOOD, ""]],
)
def test_an_identity_is_the_only_uri(uris: list[str]) -> None:
    """X509-SVID 2 and 5.2: more than one URI, of whatever scheme, is to be rejected."""
    assert identity_in(uris) is None
