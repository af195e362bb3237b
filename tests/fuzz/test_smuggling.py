"""Of every case of the corpus nothing ambiguous is passed on: either it is refused, or what goes on is one request to
every reader, in framing of our own, and it is the request that was meant.

Meant is what a reader by the letter (strict.py) makes of what came. Where it makes nothing of it, we may refuse; if we
do not, the second request that the case hides must not come out.
"""

import re
from collections import Counter

import pytest

from tests.fuzz import strict
from tests.fuzz.oracles import H11, LLHTTP_METHODS, Llhttp
from tests.fuzz.smuggling import cases
from tests.instruments.inspect import Refused, pass_request

CASES = dict(cases())
FRAMING = re.compile(rb"\r\n(content-length: (0|[1-9]\d*)|transfer-encoding: chunked)\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"0\r\n(?:[^\r\n:]+:[^\r\n]*\r\n)*\r\n")


def passed_on(data: bytes) -> tuple[list[bytes], str]:
    """The requests that go on of all that came on a connection, and why no more: refused, or not all there."""
    texts = []
    try:
        while data:
            text, data = pass_request(data)
            texts.append(text)
    except Refused as refused:
        return texts, refused.fault or refused.result
    except EOFError:
        return texts, "incomplete"
    return texts, ""


def check_one(text: bytes) -> strict.Request:
    """What goes on is one request, with nothing behind it, to the strict reader, to h11 and to llhttp."""
    request, rest = strict.read(text)
    assert rest == b""
    for reader in (H11(), Llhttp()):
        shown = text
        if isinstance(reader, Llhttp):
            if request.values(b"upgrade"):
                continue  # httptools takes what follows for a tunnel
            if request.method not in LLHTTP_METHODS:
                shown = b"POST" + text.removeprefix(request.method)
        assert not reader.feed(shown[:-1]).complete
        seen = reader.feed(shown[-1:])
        assert seen.complete
        assert (seen.target, seen.data) == (request.target, request.body)
        assert {name.lower() for name, _ in seen.fields} >= {name for name, _ in request.fields}
    return request


def check_framing(text: bytes) -> None:
    """Only our own: one field at most, written plainly; sizes without zeros, blanks or extensions."""
    head, _, body = text.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n")[1:] if re.match(rb"(?i)(content-length|transfer-encoding)", line)]
    framing = [line for line in lines if line.partition(b":")[0].lower() in (b"content-length", b"transfer-encoding")]
    assert len(framing) <= 1
    for line in framing:
        assert FRAMING.fullmatch(b"\r\n" + line + b"\r\n") or re.fullmatch(rb"(?i)content-length:(0|[1-9]\d*)", line)
    if framing and framing[0].lower().startswith(b"transfer"):
        while size := re.match(rb"([1-9a-fA-F][0-9a-fA-F]*)\r\n", body):
            body = body[size.end() + int(size[1], 16) + 2 :]
        assert CHUNKED.fullmatch(body)


def same(request: strict.Request, other: strict.Request) -> bool:
    """But for what a proxy changes: an absolute form is cut down, its authority is the Host."""
    target = re.sub(rb"(?i)^https?://[^/?]*", b"", other.target)
    if target != other.target and not target.startswith(b"/"):
        target = b"*" if other.method == b"OPTIONS" and not target else b"/" + target
    return (request.method, request.target, request.body) == (other.method, target, other.body)


def test_the_corpus_is_large() -> None:
    assert len(set(CASES.values())) > 1500


@pytest.mark.parametrize("name", CASES)
def test_nothing_ambiguous_goes_on(name: str) -> None:
    data = CASES[name]
    texts, _ = passed_on(data)
    requests = [check_one(text) for text in texts]
    for text in texts:
        check_framing(text)
    assert len(strict.read_all(b"".join(texts))) == len(texts)
    intended, whole = strict.meant(data)
    assert all(same(request, other) for request, other in zip(requests, intended, strict=False))
    more = requests[len(intended) :]
    assert not (more and whole)
    assert not any(b"/smuggled" in request.target for request in more)


def test_what_is_right_by_the_letter_is_taken() -> None:
    """Strictness costs nothing that is valid, but for what is meant to be refused."""
    refused = Counter(
        why
        for data in CASES.values()
        if strict.meant(data)[1] and (why := passed_on(data)[1]) not in ("", "incomplete")
    )
    assert set(refused) <= {
        "target", "host", "connection", "connection names an end-to-end field", "chunk extension",
        "chunk line too long", "content-length", "CONNECT with a body",
    }, refused  # fmt: skip
