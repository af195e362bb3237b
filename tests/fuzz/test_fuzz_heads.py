"""Heads we take are taken by h11 and llhttp too, with the same method, target, fields and end of the message.

What we refuse may be taken by them: we are stricter on purpose. Where one of them is stricter than we are, the reason:
- llhttp knows a list of methods, RFC 9110 (9.1) any token: it is shown POST instead of a method it does not know.
- h11 refuses an empty line before the request line, which RFC 9112 (2.2) has servers skip: it is not shown that line.
- h11 takes 101 only for a request that asked for an upgrade, which the exchange checks here: 101 is not compared.
- httptools takes what follows the head of a request with Upgrade for a tunnel, even if it has a body. We ignore such an
  Upgrade and say so to the exchange, which does not pass it on: llhttp is not asked.
- llhttp cannot be told which request a response answers: it is shown only answers to GET.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutants import DEEP, fuzzed, mutants, pieces, seeds, splits
from tests.fuzz.oracles import H11, LLHTTP_METHODS, Llhttp
from tests.instruments.inspect import Refused, Scanner, request, response

pytestmark = pytest.mark.timeout(3600 if DEEP else 60)

REQUESTS = seeds("requests")
RESPONSES = seeds("responses")
CHUNKED = b"3\r\nabc\r\n0\r\n\r\n"
LONG = 300


def body_for(head: dict[str, object]) -> tuple[bytes, bytes]:
    """A body as the head announces it, and its data; a long one is only begun."""
    if head["framing"] == "chunked":
        return CHUNKED, b"abc"
    length = head["content_length"] if head["framing"] == "length" else 0
    assert isinstance(length, int)
    data = b"x" * min(length, LONG)
    return data, data


def check_same(head: dict[str, object], message: bytes, reader: H11 | Llhttp) -> None:
    """The other reader understands the head as we do, and sees the message end where we do."""
    body, data = body_for(head)
    begun = message + body
    assert not reader.feed(begun[:-1]).complete
    seen = reader.feed(begun[-1:])
    if head["framing"] == "until close" or (len(body) == LONG and head["content_length"] != LONG):
        assert seen.head_done and not seen.complete
    else:
        assert seen.complete
    assert seen.data == data
    assert (seen.target, seen.status) == (head["target"], head["status"])
    assert folded(seen.fields) == folded(fields_of(head))


def fields_of(head: dict[str, object]) -> list[tuple[bytes, bytes]]:
    fields = head["fields"]
    assert isinstance(fields, list)
    return fields


def folded(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Fields but for the case of what has none, which h11 folds."""
    lower = [(name.lower(), value) for name, value in fields]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in lower]


def taken_request(data: bytes) -> dict[str, object] | None:
    try:
        return dict(request(data))
    except (Refused, EOFError):
        return None


@fuzzed
@given(mutants(REQUESTS))
def test_requests(data: bytes) -> None:
    head = taken_request(data)
    if head is None:
        return
    size, method = head["size"], head["method"]
    assert isinstance(size, int) and isinstance(method, bytes)
    message = data[:size].removeprefix(b"\r\n")
    h11 = H11()
    check_same(head, message, h11)
    assert h11.understood.method == method
    if head["framing"] != "none" and any(name.lower() == b"upgrade" for name, _ in fields_of(head)):
        return
    known = method if method in LLHTTP_METHODS else b"POST"
    llhttp = Llhttp()
    check_same(head, known + message.removeprefix(method), llhttp)
    assert llhttp.understood.method == known


@fuzzed
@given(mutants(RESPONSES), st.sampled_from([b"GET", b"HEAD", b"CONNECT"]))
def test_responses(data: bytes, to: bytes) -> None:
    try:
        head = dict(response(data, to))
    except (Refused, EOFError):
        return
    size = head["size"]
    assert isinstance(size, int)
    if head["status"] == 101:
        return
    check_same(head, data[:size], H11(to))
    if to == b"GET":
        check_same(head, data[:size], Llhttp(response=True))


def scan_in(parts: list[bytes]) -> int | str:
    """The size of the head, 0 if it is incomplete, or why it is refused."""
    scanner = Scanner()
    size = None
    try:
        for part in parts:
            size = scanner.feed(part)
            if size is not None:
                return size
    except Refused as refused:
        return refused.fault or refused.result
    return 0


@fuzzed
@given(mutants(REQUESTS + RESPONSES), st.data())
def test_splits_of_heads(data: bytes, more: st.DataObject) -> None:
    whole = scan_in([data])
    in_pieces = scan_in(pieces(data, more.draw(splits(len(data)))))
    assert in_pieces == whole or {in_pieces, whole} == {"NUL", "line does not end in CRLF"}
    assert scan_in([data[at : at + 1] for at in range(len(data))]) in (in_pieces, whole)
