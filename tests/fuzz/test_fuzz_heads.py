"""What we pass on is taken by h11 and llhttp, with the method, target, fields and end of the message that we have seen
in what came.

What we refuse may be taken by them: we are stricter with requests on purpose. Where one of them is stricter than we
are, the reason:
- llhttp knows a list of methods, RFC 9110 (9.1) any token: it is shown POST instead of a method it does not know.
- h11 takes 101 only for a request that asked for an upgrade, which the exchange checks here: 101 is not compared.
- httptools takes what follows the head of a request with Upgrade for a tunnel: llhttp is not asked.
- llhttp cannot be told which request a response answers: it is shown only answers to GET.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutants import DEEP, fuzzed, mutants, pieces, seeds, splits
from tests.fuzz.oracles import H11, LLHTTP_METHODS, Llhttp
from tests.instruments.inspect import Refused, Scanner, pass_request, pass_response, request, response

pytestmark = pytest.mark.timeout(3600 if DEEP else 60)

REQUESTS = seeds("requests")
RESPONSES = seeds("responses")
CHUNKED = b"3\r\nabc\r\n0\r\n\r\n"
LONG = 300
OURS = {
    b"host", b"date", b"server", b"connection", b"te", b"x-request-id", b"x-forwarded-proto",
    b"x-envoy-upstream-service-time", b"content-length", }  # fmt: skip


def body_for(head: dict[str, object]) -> tuple[bytes, bytes]:
    """A body as the head announces it, and its data."""
    if head["framing"] == "chunked":
        return CHUNKED, b"abc"
    data = b"x" * length_of(head) if head["framing"] == "length" else b""
    return data, data


def check_same(head: dict[str, object], text: bytes, reader: H11 | Llhttp) -> None:
    """The other reader understands what was passed on as we understand what came, and sees it end where we do."""
    assert not reader.feed(text[:-1]).complete
    seen = reader.feed(text[-1:])
    assert seen.complete
    assert seen.data == body_for(head)[1]
    assert seen.status == head["status"]
    kept = folded(fields_of(head))
    framing = (b"content-length", b"transfer-encoding")
    assert not [
        name for name in {name for name, _ in kept} & set(framing) if name not in dict(folded(seen.fields))
    ] or (head["framing"] in ("none", "chunked"))
    for name, value in folded(seen.fields):
        if name in framing:
            assert value == (b"%d" % max(0, length_of(head)) if name == framing[0] else b"chunked")
        else:
            assert (name, value) in kept or name in OURS


def length_of(head: dict[str, object]) -> int:
    length = head["content_length"]
    assert isinstance(length, int)
    return length


def fields_of(head: dict[str, object]) -> list[tuple[bytes, bytes]]:
    fields = head["fields"]
    assert isinstance(fields, list)
    return fields


def folded(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Fields but for the case of what has none, which h11 folds."""
    lower = [(name.lower(), value) for name, value in fields]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in lower]


def text_of(head: dict[str, object], data: bytes, passed: Callable[[bytes], tuple[bytes, bytes]]) -> bytes | None:
    """The message as it is passed on; None: its body would be long."""
    if head["framing"] == "length" and length_of(head) > LONG:
        return None
    size = head["size"]
    assert isinstance(size, int)
    text, rest = passed(data[:size] + body_for(head)[0])
    assert rest == b""
    return text


@fuzzed
@given(mutants(REQUESTS))
def test_requests(data: bytes) -> None:
    try:
        head = dict(request(data))
    except (Refused, EOFError):
        return
    text = text_of(head, data, pass_request)
    if text is None:
        return
    method, path = head["method"], head["path"]
    assert isinstance(method, bytes)
    h11 = H11()
    check_same(head, text, h11)
    assert (h11.understood.method, h11.understood.target) == (method, path)
    if head["upgrade"]:
        return
    known = method if method in LLHTTP_METHODS else b"POST"
    llhttp = Llhttp()
    check_same(head, known + text.removeprefix(method), llhttp)
    assert (llhttp.understood.method, llhttp.understood.target) == (known, path)


@fuzzed
@given(mutants(RESPONSES), st.sampled_from([b"GET", b"HEAD", b"CONNECT"]))
def test_responses(data: bytes, to: bytes) -> None:
    try:
        head = dict(response(data, to))
    except (Refused, EOFError):
        return
    text = text_of(head, data, lambda text: pass_response(text, to))
    if text is None or head["status"] == 101:
        return
    check_same(head, text, H11(to))
    if to == b"GET":
        check_same(head, text, Llhttp(response=True))


def scan_in(parts: list[bytes], lenient: bool) -> int | str:
    """The size of the head, 0 if it is incomplete, or why it is refused."""
    scanner = Scanner(lenient)
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
@given(mutants(REQUESTS + RESPONSES), st.booleans(), st.data())
def test_splits_of_heads(data: bytes, lenient: bool, more: st.DataObject) -> None:
    whole = scan_in([data], lenient)
    in_pieces = scan_in(pieces(data, more.draw(splits(len(data)))), lenient)
    assert in_pieces == whole or {in_pieces, whole} == {"NUL", "line does not end in CRLF"}
    assert scan_in([data[at : at + 1] for at in range(len(data))], lenient) in (in_pieces, whole)
