"""Bodies: where they end, what is passed on, and what is too much."""

from typing import Literal

import pytest

from tests.instruments.inspect import BodyReader, Refused

MAX_LINE = 1024
MAX_TRAILERS = 61440


def refused(data: bytes) -> str:
    with pytest.raises(Refused) as refusal:
        BodyReader("chunked").feed(data)
    return refusal.value.fault


def read(data: bytes) -> BodyReader:
    body = BodyReader("chunked")
    body.feed(data)
    assert body.done
    return body


@pytest.mark.parametrize("pieces", [[b"helloNEXT"], [b"he", b"llo", b"NEXT"], [b"hell", b"oNE", b"XT"]])
def test_length(pieces: list[bytes]) -> None:
    body = BodyReader("length", 5)
    for piece in pieces:
        body.feed(piece)
    assert body.done and bytes(body.forwarded) == b"hello" and body.rest == b"NEXT" and body.data_bytes == 5


def test_nothing_belongs_to_no_body() -> None:
    for body in (BodyReader("none"), BodyReader("length", 0)):
        body.feed(b"NEXT")
        assert body.done and body.rest == b"NEXT" and body.data_bytes == 0


def test_until_close_never_ends_by_itself() -> None:
    body = BodyReader("until close")
    body.feed(b"anything\r\n\r\n")
    body.feed(b"more")
    assert not body.done and bytes(body.forwarded) == b"anything\r\n\r\nmore" and body.data_bytes == 16


def test_what_follows_a_chunked_body_is_left() -> None:
    body = read(b"5;x\r\nhello\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n")
    assert bytes(body.forwarded) == b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"
    assert body.rest == b"GET / HTTP/1.1\r\n" and body.data_bytes == 5


def test_large_chunk() -> None:
    body = BodyReader("chunked")
    body.feed(b"FffFffFffFffFff\r\n")
    body.feed(b"x" * 100_000)
    assert not body.done and body.data_bytes == 100_000


def test_longest_chunk_line() -> None:
    assert bytes(read(b"1;" + b"x" * (MAX_LINE - 3) + b"\r\na\r\n0\r\n\r\n").forwarded) == b"1\r\na\r\n0\r\n\r\n"
    assert refused(b"1;" + b"x" * MAX_LINE) == "chunk line too long"
    assert refused(b"1" + b" " * MAX_LINE) == "chunk line too long"
    assert refused(b'1;"' + b"x" * MAX_LINE) == "chunk line too long"


def test_every_chunk_line_has_its_own_limit() -> None:
    assert read((b"1;" + b"x" * 1000 + b"\r\na\r\n") * 10 + b"0\r\n\r\n").data_bytes == 10


def test_most_trailers() -> None:
    read(b"0\r\n" + b"a: b\r\n" * 100 + b"\r\n")
    assert refused(b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n") == "too many trailers"


def test_largest_trailers() -> None:
    room = MAX_TRAILERS - len(b"a: \r\n\r\n")
    read(b"0\r\na: " + b"x" * room + b"\r\n\r\n")
    assert refused(b"0\r\na: " + b"x" * (room + 1) + b"\r\n\r\n") == "trailers too large"
    assert refused(b"0\r\n" + b"x" * MAX_TRAILERS + b"x") == "trailers too large"


def test_malformed_stays_malformed() -> None:
    body = BodyReader("chunked")
    for _ in range(2):
        with pytest.raises(Refused):
            body.feed(b"x")


# -- gRPC's messages, and its status in the trailers ------------------------------------------------------------------


def message(size: int) -> bytes:
    return b"\0" + size.to_bytes(4, "big") + b"x" * size


def told(text: bytes, step: int, framing: Literal["chunked", "length"] = "chunked") -> tuple[int, int]:
    body = BodyReader(framing, len(text), lenient=True, of_messages=True)
    for at in range(0, len(text), step):
        body.feed(text[at : at + step])
    assert body.done
    return body.told


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks) + b"0\r\n" + trailers + b"\r\n"


@pytest.mark.parametrize("step", [1, 2, 7, 100_000])
def test_messages_are_counted_however_they_come(step: int) -> None:
    messages = [message(size) for size in (0, 1, 5, 70_000 if step > 2 else 300, 0)]
    whole = b"".join(messages)
    assert told(chunked(*messages), step) == (5, -1)
    assert told(chunked(whole), step) == (5, -1)
    assert told(chunked(whole[:3], whole[3:9], whole[9:]), step) == (5, -1)
    assert told(whole, step, "length") == (5, -1)
    assert told(chunked(whole[:10]), step) == (2, -1), "one that is cut short had begun"


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("trailers", "expected"),
    [
        (b"grpc-status: 0\r\n", 0),
        (b"grpc-message: x\r\nGRPC-Status:  13 \r\nx: y\r\n", 13),
        (b"grpc-status:7\n", 7),
        (b"grpc-status:\r\n", -1),
        (b"grpc-status: many\r\n", -1),
        (b"grpc-statuses: 4\r\n", -1),
        (b"x: grpc-status: 4\r\n", -1),
        (b"", -1),
    ],
)
def test_the_status_in_the_trailers_is_read(trailers: bytes, expected: int, step: int) -> None:
    assert told(chunked(message(3), trailers=trailers), step) == (1, expected)


def test_of_what_is_no_grpc_nothing_is_counted() -> None:
    body = BodyReader("chunked")
    body.feed(chunked(message(3), trailers=b"grpc-status: 4\r\n"))
    assert body.told == (0, -1)
