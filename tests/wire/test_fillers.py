"""One gate: a head that comes in fields, as in HTTP/2, is taken or refused, and read, as its text is in HTTP/1.1."""

import re

import pytest

from tests.fuzz.smuggling import cases as smuggling
from tests.fuzz.test_smuggling import passed_on
from tests.instruments.fillers import filled
from tests.instruments.inspect import outcome_of_text
from tests.wire.corpus import cases
from tests.wire.http2_rig import Server

GET, HEAD = 1, 2  # head.Method
Parts = tuple[bytes, list[tuple[bytes, bytes]]]
REQUEST_LINE = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+ [!\"$-~]+ HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/1\.1 [0-9]{3}(?: .*)?")


def parts_of(data: bytes, first: re.Pattern[bytes]) -> Parts | None:
    """A head's first line, and its fields as they would come in HTTP/2: line ends in them are theirs. None: HTTP/2 has
    no such head."""
    line, *lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    if not first.fullmatch(line):
        return None
    fields = [each.partition(b":") for each in lines]
    return line + b"\r\n", [(name, value.strip(b" \t")) for name, _, value in fields]


def check(parts: Parts, answer_to: int) -> bool:
    """Whether what comes in fields is the same to us as its text; and whether we take it."""
    by_fields, text, one_each = filled(*parts, answer_to)
    by_text = outcome_of_text(text, answer_to)
    if not one_each:  # the text is of other lines than were meant: nobody asks what they say
        return False
    if isinstance(by_fields, tuple) and isinstance(by_text, tuple):
        assert by_fields[0] == by_text[0], parts  # for what is found first, which may be that a line is folded
        return False
    assert by_fields == by_text, parts
    return True


@pytest.mark.parametrize("kind", ["requests", "responses"])
def test_the_corpus(kind: str) -> None:
    taken = 0
    first, to = (REQUEST_LINE, [-1]) if kind == "requests" else (STATUS_LINE, [GET, HEAD])
    for case in cases(kind):
        parts = parts_of(case.data, first)
        for method in to if parts is not None else []:
            assert parts is not None
            taken += check(parts, method)
    assert taken > 70


def test_every_octet_in_every_place() -> None:
    for octet in map(bytes, zip(range(256))):
        places = ((b"na" + octet + b"me", b"v"), (b"name", b"val" + octet + b"ue"), (octet, b""), (b"x", octet))
        for name, value in places:
            for line, to in ((b"GET / HTTP/1.1\r\n", -1), (b"HTTP/1.1 200 \r\n", GET)):
                fields = [(b"host", b"a"), (name, value.strip(b" \t")), (b"y", b"z")]
                taken = check((line, fields), to)
                assert taken is by_the_letter(name, value), (octet, to)


def by_the_letter(name: bytes, value: bytes) -> bool:
    """RFC 9110 5.1, 5.5."""
    return bool(re.fullmatch(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name) and re.fullmatch(rb"[\t -~\x80-\xff]*", value))


def test_what_hides_a_second_request_in_one_hides_none_in_the_other() -> None:
    taken = 0
    for _, data in smuggling():
        parts = parts_of(data, REQUEST_LINE)
        taken += parts is not None and check(parts, -1)
    assert taken > 100


def test_what_goes_on_in_fields_is_what_goes_on_as_text() -> None:
    """To an endpoint over HTTP/2: the head that one over HTTP/1.1 gets, but for what is between two hops."""
    server, asked = Server(), 0
    for number, (_, data) in enumerate(smuggling()):
        if number % 100 == 0:
            server = Server()
        texts, why = passed_on(data)
        if len(texts) == 1 and not why and not texts[0].startswith(b"CONNECT") and data.isascii():
            asked += 1
            check_fields(server, data, texts[0])
    assert asked > 150


def check_fields(server: Server, data: bytes, text: bytes) -> None:
    stream = server.connection.new_stream()
    assert stream.ask(data) == "ok"
    server.look()
    head, _, _ = text.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = line.split(" ")
    fields = [(name.lower(), value.strip(" \t")) for name, _, value in (each.partition(":") for each in lines)]
    named = dict(server.fields[stream.id][0])
    assert (named[":method"], named[":path"]) == (method, path)
    assert named.get(":authority", "") == dict(fields)["host"].removesuffix(":")
    own = ("host", "transfer-encoding", "connection", "upgrade", "x-forwarded-proto", "x-request-id", "content-length")
    assert [each for each in server.fields[stream.id][0] if each[0][0] != ":" and each[0] not in own] == [
        each for each in fields if each[0] not in own
    ]
    stream.close()
