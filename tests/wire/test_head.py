"""Every message of the corpus, whole and byte by byte: taken or refused for the reason given there."""

from collections.abc import Mapping

import pytest

from tests.instruments.inspect import BodyReader, Refused, Scanner, request, response
from tests.wire.corpus import Case, cases


def scan_by_bytes(data: bytes, lenient: bool) -> int:
    """The size of the head, found feeding one byte at a time."""
    scanner = Scanner(lenient)
    for at in range(len(data)):
        size = scanner.feed(data[at : at + 1])
        if size is not None:
            assert size == at + 1
            return size
        assert scanner.scanned == at + 1
    raise AssertionError("the head is incomplete")


def check_head(head: Mapping[str, object], detail: str) -> None:
    for pair in detail.split():
        name, _, wanted = pair.partition("=")
        wanted = wanted.encode().decode("unicode_escape").replace("until_close", "until close")
        found = head.get(name)
        if isinstance(found, bytes):
            found = found.decode("latin-1")
        elif isinstance(found, list):
            found = ",".join(str(item) for item in found)
        assert str(found) == wanted, name


def check_refusal(refused: Refused, case: Case) -> None:
    assert (refused.result, refused.fault) == (case.result, case.detail)


@pytest.mark.parametrize("case", cases("requests"), ids=lambda case: case.name)
def test_request(case: Case) -> None:
    try:
        head = request(case.data)
    except Refused as refused:
        check_refusal(refused, case)
        assert case.result != "ok"
        return
    assert case.result == "ok"
    check_head(head, case.detail)
    assert head["size"] == case.data.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize("case", cases("responses"), ids=lambda case: case.name)
def test_response(case: Case) -> None:
    to, _, detail = case.detail.partition(" ") if case.detail.startswith("to=") else ("to=GET", "", case.detail)
    try:
        head = response(case.data, to.removeprefix("to=").encode())
    except Refused as refused:
        check_refusal(refused, case)
        return
    assert case.result == "ok"
    check_head(head, detail)


@pytest.mark.parametrize(
    ("kind", "status", "grpc", "number"),
    [
        ("application/grpc", "0", True, 0),
        ("application/grpc+proto", "16", True, 16),
        ("Application/GRPC; x=y", "07", True, 7),
        ("application/grpc-web", "14", False, 14),
        ("application/grpcs", "", False, -1),
        ("application/grp", "x", False, -1),
        ("text/html", "-1", False, -1),
        ("application/grpc", "1 4", True, -1),
        ("application/grpc", "100", True, -1),
    ],
)
def test_grpc(kind: str, status: str, grpc: bool, number: int) -> None:
    head = response(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ngrpc-status: {status}\r\n\r\n".encode())
    assert (head["grpc"], head["grpc_status"]) == (grpc, number)


@pytest.mark.parametrize("lenient", [False, True], ids=["strictly", "leniently"])
@pytest.mark.parametrize("case", cases("requests") + cases("responses"), ids=lambda case: case.name)
def test_bytes_one_at_a_time(case: Case, lenient: bool) -> None:
    whole = Scanner(lenient)
    try:
        size = whole.feed(case.data)
    except Refused as refused:
        with pytest.raises(Refused) as again:
            scan_by_bytes(case.data, lenient)
        assert again.value.args == refused.args
        return
    assert scan_by_bytes(case.data, lenient) == size == whole.scanned


@pytest.mark.parametrize("case", cases("chunked") + cases("chunked_responses"), ids=lambda case: case.name)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
def test_chunked_body(case: Case, step: int) -> None:
    check_chunked(case, step, lenient=case in cases("chunked_responses"))


@pytest.mark.parametrize("case", [case for case in cases("chunked") if case.result == "ok"], ids=lambda case: case.name)
def test_what_a_request_may_have_a_response_may_have_too(case: Case) -> None:
    check_chunked(case, 10_000, lenient=True)


def check_chunked(case: Case, step: int, lenient: bool) -> None:
    body = BodyReader("chunked", lenient=lenient)
    try:
        for at in range(0, len(case.data), step):
            body.feed(case.data[at : at + step])
    except Refused as refused:
        check_refusal(refused, case)
        return
    assert case.result == "ok" and body.done and body.rest == b""
    passed_on = case.detail.encode().decode("unicode_escape").encode("latin-1")
    assert bytes(body.forwarded) == (passed_on or case.data)
