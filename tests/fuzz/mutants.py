"""Messages made from the corpus: cut, spliced, repeated, and sprinkled with what parsers disagree about."""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.wire.corpus import cases

DEEP = os.environ.get("WAYPOINT_FUZZ") == "deep"

# A second or two for each test; WAYPOINT_FUZZ=deep: long, and other inputs each time (tests/conftest.py).
fuzzed = settings(
    max_examples=100_000 if DEEP else 900,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

MORSELS = [
    *(bytes([octet]) for octet in b"\r\n\0 \t:,;=/?#@%\"\\+-_.0159afxX[]\x0b\x0c\x1f\x7f\x80\x85\xa0\xff"),
    b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\r\n", b" \r\n", b"\r\n ", b"\r\n\t", b": ", b" :", b"0x", b", ", b"chunked",
    b"identity", b"close", b"keep-alive", b"upgrade", b"HTTP/1.1", b"HTTP/1.0", b"http://b", b"GET ", b"HEAD ",
    b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n",
    b"Trailer: x\r\n", b"X: y\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"ffffffffffffffff", b"000000000000000",
]  # fmt: skip


def seeds(kind: str) -> list[bytes]:
    """The messages of a corpus, the valid ones several times: a fuzzer whose inputs are all refused finds nothing."""
    messages = cases(kind)
    return [case.data for case in messages] + [case.data for case in messages if case.result == "ok"] * 4


def _insert(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
    return data[:at] + morsel + data[at:]


def _replace(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
    return data[:at] + morsel + data[at + len(morsel) :]


def _delete(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
    return data[:at] + data[at + 1 :]


def _cut(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
    return data[:at] + data[end:]


def _repeat(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
    return data[:end] + data[at:]


def _swap_case(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
    return data[:at] + data[at:end].swapcase() + data[end:]


def _line(change: Callable[[list[bytes], int, bytes], None]) -> Callable[[bytes, int, int, bytes], bytes]:
    """A mutation of the lines of a message, given the place as an octet."""

    def mutate(data: bytes, at: int, end: int, morsel: bytes) -> bytes:
        lines = data.split(b"\r\n")
        change(lines, at % len(lines), morsel)
        return b"\r\n".join(lines)

    return mutate


MUTATIONS = [
    _insert, _insert, _replace, _delete, _cut, _repeat, _swap_case,
    _line(lambda lines, at, morsel: lines.insert(at, lines[at])),
    _line(lambda lines, at, morsel: lines.insert(at, lines[(at + 1) % len(lines)])),
    _line(lambda lines, at, morsel: lines.insert(at, morsel.strip(b"\r\n"))),
    _line(lambda lines, at, morsel: lines.__setitem__(at, lines[at] + morsel)),
]  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn, messages: list[bytes]) -> bytes:
    """One of the messages after up to three mutations; now and then two of them spliced."""
    data = draw(st.sampled_from(messages))
    if draw(st.integers(0, 7)) == 0:
        other = draw(st.sampled_from(messages))
        data = data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 40)))
        data = draw(st.sampled_from(MUTATIONS))(data, at, end, draw(st.sampled_from(MORSELS)))
    return data


def splits(size: int) -> st.SearchStrategy[list[int]]:
    """Places to cut a message of that size at."""
    return st.lists(st.integers(0, size), max_size=6).map(sorted)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The message cut at those places."""
    return [data[at:end] for at, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if at < end]
