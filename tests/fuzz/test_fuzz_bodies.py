"""What we pass on of a chunked body is the same body to h11 and llhttp, however it arrived.

The framing is ours, whatever came: sizes without zeros before them, blanks or extensions, CRLF, trailers on one line
each. h11 and llhttp refuse much of what responses may have there, and never get to see it behind us.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutants import DEEP, fuzzed, mutants, pieces, seeds, splits
from tests.fuzz.oracles import H11, Llhttp
from tests.instruments.inspect import BodyReader, Refused

pytestmark = pytest.mark.timeout(3600 if DEEP else 60)

SEEDS = seeds("chunked")
SEEDS_OF_RESPONSES = SEEDS + seeds("chunked_responses")
OURS = re.compile(rb"0\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(parts: list[bytes], lenient: bool = False, passing: bool = False) -> tuple[BodyReader, str]:
    """The body after all parts, and the fault if one was refused."""
    body = BodyReader("chunked", lenient=lenient, passing=passing)
    try:
        for part in parts:
            body.feed(part)
    except Refused as refused:
        return body, refused.fault
    return body, ""


def data_of(chunked: bytes) -> bytes:
    """The data of a body without extensions, read as plainly as can be."""
    data = b""
    while not chunked.startswith(b"0"):
        size, _, chunked = chunked.partition(b"\r\n")
        assert chunked[int(size, 16) :].startswith(b"\r\n")
        data, chunked = data + chunked[: int(size, 16)], chunked[int(size, 16) + 2 :]
    assert OURS.fullmatch(chunked)
    return data


@fuzzed
@given(mutants(SEEDS))
def test_chunked(data: bytes) -> None:
    check_chunked(data, lenient=False)


@fuzzed
@given(mutants(SEEDS_OF_RESPONSES))
def test_chunked_responses(data: bytes) -> None:
    check_chunked(data, lenient=True)


def check_chunked(data: bytes, lenient: bool) -> None:
    body, fault = read([data], lenient)
    if fault or not body.done:
        return
    forwarded = bytes(body.forwarded)
    for reader in (H11(), Llhttp()):
        assert not reader.feed(HEAD + forwarded[:-1]).complete
        seen = reader.feed(forwarded[-1:])
        assert seen.complete
        assert seen.data == data_of(forwarded)
        assert len(seen.data) == body.data_bytes


def check_passing(parts: list[bytes], lenient: bool, fault: str) -> None:
    """Whether data is seen or passes by makes no difference to what goes on, nor to what is refused."""
    seen, seen_fault = read(parts, lenient)
    past, past_fault = read(parts, lenient, passing=True)
    assert past_fault == seen_fault == fault
    if not fault:
        assert bytes(past.forwarded).lower() == bytes(seen.forwarded).lower()
    assert past.done == seen.done and past.rest == seen.rest and past.data_bytes == seen.data_bytes


def alike(more: BodyReader, less: BodyReader) -> bool:
    """What went on of one is the beginning of what went on of the other, but for the case of digits: those of a line
    that came whole are passed on as they came."""
    return bytes(more.forwarded).lower().startswith(bytes(less.forwarded).lower())


@fuzzed
@given(mutants(SEEDS_OF_RESPONSES), st.booleans(), st.data())
def test_splits_of_bodies(data: bytes, lenient: bool, more: st.DataObject) -> None:
    whole, fault = read([data], lenient)
    cut, cut_fault = read(pieces(data, more.draw(splits(len(data)))), lenient)
    single, single_fault = read([data[at : at + 1] for at in range(len(data))], lenient)
    check_passing(pieces(data, more.draw(splits(len(data)))), lenient, cut_fault)
    assert fault == cut_fault == single_fault
    assert whole.done == cut.done == single.done
    if fault:
        # what went on before the fault may be less, never different
        assert alike(single, cut) and alike(cut, whole)
        return
    assert bytes(whole.forwarded).lower() == bytes(cut.forwarded).lower() == bytes(single.forwarded).lower()
    assert len(whole.rest) == len(cut.rest) == len(single.rest)
    if whole.done:
        forwarded = bytes(whole.forwarded)
        content, trailers = whole.unframed(pieces(forwarded, more.draw(splits(len(forwarded)))))
        assert content == data_of(forwarded)
        assert trailers.endswith(b"\r\n") or (trailers, forwarded[-5:]) == (b"", b"0\r\n\r\n"), "none, at once"
        assert forwarded.endswith(trailers)
    assert whole.data_bytes == cut.data_bytes == single.data_bytes
