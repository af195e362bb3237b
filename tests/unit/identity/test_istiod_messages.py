"""istiod's two messages, octet by octet: held against examples of protobuf's own documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proxy.identity.istiod.messages import chain_of, request


def test_a_request() -> None:
    assert request(b"testing", 150) == bytes.fromhex("0a07 7465 7374 696e 67") + bytes.fromhex("18 9601")
    assert request(b"testing", 0) == bytes.fromhex("0a07 7465 7374 696e 67"), "a default is not sent"
    assert request(b"x" * 300, 0)[:3] == bytes.fromhex("0a ac02")


@pytest.mark.parametrize(
    ("octets", "chain"),
    [
        ("", []),
        ("0a 01 61 0a 00 0a 02 62 63", [b"a", b"", b"bc"]),
        ("08 9601 0a 01 61", [b"a"]),  # field 1 as a number is another field
        ("12 01 7a 0a 01 61 1a 00", [b"a"]),
        ("09 0000000000000000 0d 00000000 0a 01 61", [b"a"]),
        ("fa ff 01 01 7a 0a 01 61", [b"a"]),
    ],
)
def test_what_is_not_known_is_skipped(octets: str, chain: list[bytes]) -> None:
    assert chain_of(bytes.fromhex(octets)) == chain


@pytest.mark.parametrize("octets", ["0a", "0a 02 61", "0a ff", "08", "09 00", "0b", "0a ffffffffffffffffffff 01", "0f"])
def test_what_is_none_is_refused(octets: str) -> None:
    with pytest.raises(ValueError):
        chain_of(bytes.fromhex(octets))


@given(some.binary(max_size=64))
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    try:
        assert sum(map(len, chain_of(octets))) <= len(octets)
    except ValueError as fault:
        assert str(fault)


@given(some.lists(some.binary(max_size=300), max_size=4))
def test_elements_come_out_as_they_went_in(chain: list[bytes]) -> None:
    assert chain_of(b"".join(request(each, 0) for each in chain)) == chain
