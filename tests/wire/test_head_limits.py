"""What is too large, too many, too long; and that octets are classed exactly."""

import itertools
import time

import pytest

from tests.instruments.inspect import Refused, Scanner, request, response

MAX_HEAD = 61440
MAX_FIELDS = 100
START = b"GET / HTTP/1.1\r\nHost: a\r\n"
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def head_of(size: int) -> bytes:
    """A request head of exactly that many bytes."""
    filler = b"X: " + b"y" * (size - len(START) - 7) + b"\r\n"
    return START + filler + b"\r\n"


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        request(data)
    return refused.value.result


def accepted(data: bytes) -> bool:
    try:
        request(data)
    except Refused:
        return False
    return True


def test_largest_head() -> None:
    assert request(head_of(MAX_HEAD))["size"] == MAX_HEAD


def test_head_one_byte_too_large() -> None:
    assert refusal(head_of(MAX_HEAD + 1)) == "too large"


def test_unfinished_head_is_refused_at_the_limit() -> None:
    scanner = Scanner()
    assert scanner.feed(START + b"X: " + b"y" * (MAX_HEAD - len(START) - 4)) is None
    with pytest.raises(Refused) as refused:
        scanner.feed(b"y")
    assert refused.value.result == "too large"


def test_byte_by_byte_is_linear() -> None:
    scanner = Scanner()
    head = head_of(MAX_HEAD)
    began = time.process_time()
    sizes = [scanner.feed(head[at : at + 1]) for at in range(len(head))]
    assert sizes[-1] == MAX_HEAD and not any(sizes[:-1])
    assert time.process_time() - began < 2  # quadratic: 2e9 octets looked at


def test_most_fields() -> None:
    assert len(request(START + b"X: y\r\n" * (MAX_FIELDS - 1) + b"\r\n")["fields"]) == MAX_FIELDS


def test_one_field_too_many() -> None:
    assert refusal(START + b"X: y\r\n" * MAX_FIELDS + b"\r\n") == "too many fields"


def test_too_many_connection_options() -> None:
    assert accepted(START + b"Connection: " + b"a," * 100 + b"\r\n\r\n")
    assert refusal(START + b"Connection: " + b"a," * 101 + b"\r\n\r\n") == "bad"


def test_very_long_parts() -> None:
    long = b"x" * 60000
    assert request(b"GET /" + long + b" HTTP/1.1\r\nHost: a\r\n\r\n")["path"] == b"/" + long
    assert request(long + b" / HTTP/1.1\r\nHost: a\r\n\r\n")["method"] == long
    assert request(START + long + b": y\r\n\r\n")["fields"][1] == (long, b"y")
    assert request(b"GET / HTTP/1.1\r\nHost: " + long + b"\r\n\r\n")["authority"] == long


@pytest.mark.parametrize("octet", range(256))
def test_classes_of_octets(octet: int) -> None:
    one = bytes([octet])
    visible = 0x21 <= octet <= 0x7E
    assert accepted(START + b"x" + one + b": y\r\n\r\n") == (octet in TOKEN or one == b":")
    in_value = visible or octet > 0x7F or one in b"\t "
    assert accepted(START + b"x: " + b"y" * 11 + one + b"y" * 11 + b"\r\n\r\n") == in_value
    assert accepted(b"G" + one + b"T / HTTP/1.1\r\nHost: a\r\n\r\n") == (octet in TOKEN)
    assert accepted(b"GET /a" + one + b"b HTTP/1.1\r\nHost: a\r\n\r\n") == (visible and one != b"#")
    assert accepted(b"GET / HTTP/1.1\r\nHost: a" + one + b"0\r\n\r\n") == (octet in ALNUM or one in b"-._~!$&'()*+;=:")


@pytest.mark.parametrize("position", range(24))
def test_control_characters_wherever_they_are(position: int) -> None:
    for octet in itertools.chain(range(1, 9), range(11, 32), [127]):
        value = bytearray(b"\xff\x80 abcdefghijklmnopqrst\t ~")
        value[position] = octet
        assert not accepted(START + b"x: " + value + b"\r\n\r\n")


def test_every_status() -> None:
    for status in range(1000):
        try:
            assert response(b"HTTP/1.1 %03d x\r\n\r\n" % status)["status"] == status >= 100
        except Refused:
            assert not 100 <= status <= 599


def test_lines_are_where_the_fields_say() -> None:
    data = START + b"X:\t \r\nyy:  z z \t\r\n\r\nbody"
    head = request(data)
    assert head["fields_at"] == 16
    assert head["line_ends"] == [25, 31, 43]
    assert head["fields"] == [(b"Host", b"a"), (b"X", b""), (b"yy", b"z z")]
    assert head["size"] == 45
