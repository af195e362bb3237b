"""What we pass on of a chunked body is the same body to h11 and llhttp, however it arrived.

Where nothing was taken out, that is the body as it came. What is taken out are extensions, with the blanks before them
that RFC 9112 (7.1.1) has recipients remove; h11 and llhttp refuse those blanks, and never get to see them behind us.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutants import DEEP, fuzzed, mutants, pieces, seeds, splits
from tests.fuzz.oracles import H11, Llhttp
from tests.instruments.inspect import BodyReader, Refused

pytestmark = pytest.mark.timeout(3600 if DEEP else 60)

SEEDS = seeds("chunked")
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(parts: list[bytes]) -> tuple[BodyReader, str]:
    """The body after all parts, and the fault if one was refused."""
    body = BodyReader("chunked")
    try:
        for part in parts:
            body.feed(part)
    except Refused as refused:
        return body, refused.fault
    return body, ""


def data_of(chunked: bytes) -> bytes:
    """The data of a body without extensions, read as plainly as can be."""
    data = b""
    while True:
        size, _, chunked = chunked.partition(b"\r\n")
        if int(size, 16) == 0:
            return data
        data, chunked = data + chunked[: int(size, 16)], chunked[int(size, 16) + 2 :]


@fuzzed
@given(mutants(SEEDS))
def test_chunked(data: bytes) -> None:
    body, fault = read([data])
    if fault or not body.done:
        return
    forwarded = bytes(body.forwarded)
    for reader in (H11(), Llhttp()):
        assert not reader.feed(HEAD + forwarded[:-1]).complete
        seen = reader.feed(forwarded[-1:])
        assert seen.complete
        assert seen.data == data_of(forwarded)
        assert len(seen.data) == body.data_bytes


@fuzzed
@given(mutants(SEEDS), st.data())
def test_splits_of_bodies(data: bytes, more: st.DataObject) -> None:
    whole, fault = read([data])
    cut, cut_fault = read(pieces(data, more.draw(splits(len(data)))))
    single, single_fault = read([data[at : at + 1] for at in range(len(data))])
    assert fault == cut_fault == single_fault
    assert whole.done == cut.done == single.done
    if fault:
        # what went on before the fault may be less, never different
        assert single.forwarded.startswith(cut.forwarded) and cut.forwarded.startswith(whole.forwarded)
        return
    assert whole.forwarded == cut.forwarded == single.forwarded
    assert len(whole.rest) == len(cut.rest) == len(single.rest)
    if whole.done:
        forwarded = bytes(whole.forwarded)
        content, trailers = whole.unframed(pieces(forwarded, more.draw(splits(len(forwarded)))))
        assert content == data_of(forwarded)
        assert forwarded.endswith(b"\r\n" + trailers) and trailers.endswith(b"\r\n")
    assert whole.data_bytes == cut.data_bytes == single.data_bytes
