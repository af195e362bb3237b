"""Answers and requests that other proxies take: what goes on of them. Tests are named after the faults of issue 10."""

import pytest

from tests.instruments.inspect import Refused, pass_request, pass_response, request, response

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def answer(data: bytes, method: bytes = b"GET") -> tuple[list[bytes], bytes]:
    """The lines of the head that goes on, without those that we add, and the body."""
    text, rest = pass_response(data, method)
    assert rest == b""
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"\n" not in head.replace(b"\r\n", b"") and b"\r" not in head.replace(b"\r\n", b"")
    added = (b"date: ", b"server: waypointd", b"x-envoy-upstream-service-time: ")
    return [line for line in head.split(b"\r\n") if not line.startswith(added)], body


def refused(data: bytes) -> str:
    with pytest.raises(Refused) as refusal:
        pass_response(data)
    return refusal.value.result


@pytest.mark.parametrize(
    ("field", "line"),
    [
        (b"X-A: a;\n  b\r\n", b"X-A: a;   b"),
        (b"X-A: a;\r\n\tb\r\n", b"X-A: a;  \tb"),
        (b"X-A: a;\r\n b\r\n\t c\r\n", b"X-A: a;   b  \t c"),
        (b"X-A:\r\n a\r\n", b"X-A:   a"),
        (b"X-A: a\r\n \r\n", b"X-A: a   "),
    ],
)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_H_A_a_folded_field_goes_on_as_one_line(field: bytes, line: bytes, place: str) -> None:
    others = [b"Content-Length: 2\r\n", b"Y: z\r\n"]
    others.insert(["first", "middle", "last"].index(place), field)
    lines, body = answer(OK + b"".join(others) + b"\r\nok")
    assert lines[["first", "middle", "last"].index(place) + 1].rstrip() == line.rstrip()
    assert len(lines) == 4 and body == b"ok"


@pytest.mark.parametrize(
    "field", [b"Content-Length: \r\n 2\r\n", b"Content-Length: 2\r\n 2\r\n", CHUNKED[:-2] + b"\r\n x\r\n"]
)
def test_H_A_what_frames_a_message_is_never_folded(field: bytes) -> None:
    assert refused(OK + field + b"\r\nok") == "bad"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
def test_P4_lines_that_end_in_LF(end: bytes, blank: bytes) -> None:
    lines, body = answer(b"HTTP/1.1 200 OK" + end + b"X: y" + end + b"Content-Length: 2" + end + blank + b"ok")
    assert [line.lower() for line in lines] == [b"http/1.1 200 ok", b"x: y", b"content-length: 2"] and body == b"ok"


def test_P4_chunks_whose_lines_end_in_LF() -> None:
    lines, body = answer(b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\nX: y\n\n")
    assert lines[1:] == [b"transfer-encoding: chunked"] and body == b"2\r\nok\r\n0\r\nX: y\r\n\r\n"


FORBIDDEN = """content-length transfer-encoding trailer content-type expect te x-request-id x-forwarded-for x-envoy-a
    cookie set-cookie cache-control range host authorization www-authenticate connection upgrade"""


@pytest.mark.parametrize("name", FORBIDDEN.split())
def test_H_B_P5_a_forbidden_trailer_is_left_out(name: str) -> None:
    body = b"2\r\nok\r\n0\r\n" + name.encode() + b": 1\r\nX-Sum: 1\r\n\r\n"
    assert answer(OK + CHUNKED + b"\r\n" + body)[1] == b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
    text, _ = pass_request(b"POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n" + body)
    assert text.endswith(b"\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")


@pytest.mark.parametrize("line", [b"X y: 1", b"X", b": 1", b"X: \x00", b"Content-Length: \x01", b" X: 1"])
def test_H_B_a_malformed_trailer_is_refused(line: bytes) -> None:
    assert refused(OK + CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + line + b"\r\n\r\n") == "bad"


@pytest.mark.parametrize(
    ("head", "method", "reused"),
    [
        (b"204 No Content\r\nTransfer-Encoding: chunked\r\n", b"GET", False),
        (b"204 No Content\r\nContent-Length: 5\r\n", b"GET", False),
        (b"204 No Content\r\nContent-Length: 0\r\n", b"GET", True),
        (b"204 No Content\r\n", b"GET", True),
        (b"304 Not Modified\r\nContent-Length: 5\r\n", b"GET", True),
        (b"200 OK\r\nContent-Length: 5\r\n", b"HEAD", True),
        (b"200 OK\r\nTransfer-Encoding: gzip\r\n", b"HEAD", True),
        (b"200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"HEAD", False),
    ],
)
def test_H_C_a_connection_that_may_have_more_on_it_is_not_reused(head: bytes, method: bytes, reused: bool) -> None:
    seen = response(b"HTTP/1.1 " + head + b"\r\n", method)
    assert seen["framing"] == "none" and seen["close"] != reused


def test_H_C_a_length_that_may_not_be_goes_no_further() -> None:
    assert answer(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n" + CHUNKED + b"\r\n")[0] == [
        b"HTTP/1.1 204 No Content"
    ]
    assert answer(OK + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n", b"HEAD")[0] == [b"HTTP/1.1 200 OK"]


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"PROPFIND"])
def test_H_D_a_request_that_could_have_a_body_says_that_it_has_none(method: bytes) -> None:
    text, _ = pass_request(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert text.count(b"\r\ncontent-length: 0\r\n") == 1
    text, _ = pass_request(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert text.lower().count(b"\r\ncontent-length: 0\r\n") == 1
    text, _ = pass_request(method + b" / HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n0\r\n\r\n")
    assert b"content-length" not in text.lower()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE"])
def test_H_D_other_requests_say_nothing(method: bytes) -> None:
    assert b"content-length" not in pass_request(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")[0]


@pytest.mark.parametrize("status", [b"600", b"666", b"999"])
def test_H_E_statuses_beyond_599(status: bytes) -> None:
    lines, body = answer(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 2\r\n\r\nok")
    assert lines[0] == b"HTTP/1.1 " + status + b" X" and body == b"ok"
    assert refused(b"HTTP/1.1 0" + status[1:] + b" X\r\nContent-Length: 2\r\n\r\nok") == "bad"


@pytest.mark.parametrize(
    "size", [b"2 ", b"2\t", b"2 \t ", b"0000000000000002", b"0" * 100 + b"2", b"02 ", b"2;x", b"2 ; x=y"]
)
def test_H_F_P4_sizes_that_are_padded(size: bytes) -> None:
    assert answer(OK + CHUNKED + b"\r\n" + size + b"\r\nok\r\n0 \r\n\r\n")[1] == b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [b"2 2", b" 2", b"+2", b"0x2", b"2_", b"1" * 16, b"0" * 1024 + b"2"])
def test_H_F_sizes_that_are_none(size: bytes) -> None:
    assert refused(OK + CHUNKED + b"\r\n" + size + b"\r\nok\r\n0\r\n\r\n") == "bad"


@pytest.mark.parametrize("length", [b"0002", b"00000000000000000000002", b"2, 2", b"2\r\nContent-Length: 02", b"\t2 "])
def test_H_F_lengths_that_are_padded_or_repeated_go_on_as_one_of_ours(length: bytes) -> None:
    lines, body = answer(OK + b"Content-Length: " + length + b"\r\n\r\nok")
    assert lines == [b"HTTP/1.1 200 OK", b"content-length: 2"] and body == b"ok"


def test_H_F_a_length_that_is_padded_in_a_request() -> None:
    text, _ = pass_request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 00000000000000000000002 \r\n\r\nok")
    assert (
        text.lower().count(b"content-length") == 1
        and b"\r\ncontent-length: 2\r\n" in text
        and text.endswith(b"\r\n\r\nok")
    )


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t "])
def test_H_G_P4_P5_blanks_around_a_coding(blanks: bytes) -> None:
    field = b"Transfer-Encoding:" + blanks + b"chunked" + blanks + b"\r\n"
    assert answer(OK + field + b"\r\n2\r\nok\r\n0\r\n\r\n")[1] == b"2\r\nok\r\n0\r\n\r\n"
    text, _ = pass_request(b"POST / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n2\r\nok\r\n0\r\n\r\n")
    assert b"\r\ntransfer-encoding: chunked\r\n" in text


@pytest.mark.parametrize("option", [b"Transfer-Encoding", b"content-length", b"x-a, Transfer-Encoding"])
def test_H_H_a_response_may_name_what_frames_it(option: bytes) -> None:
    lines, body = answer(OK + b"Connection: " + option + b"\r\nX-A: 1\r\n" + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n")
    assert (b"X-A: 1" in lines) != (b"x-a" in option) and body == b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("option", [b"close;", b"close; x", b'"close"', b"close keep-alive", b"keep-alive, /"])
def test_H_H_an_option_that_is_none_ends_the_connection(option: bytes) -> None:
    assert response(OK + b"Connection: " + option + b"\r\nContent-Length: 2\r\n\r\n")["close"]


def test_H_I_an_empty_host_is_no_mistake() -> None:
    assert b"\r\nhost:\r\n" in pass_request(b"GET /x HTTP/1.1\r\nhost:\r\n\r\n")[0]
    assert request(b"GET /x HTTP/1.1\r\nhost: \r\n\r\n")["authority"] == b""


@pytest.mark.parametrize(("host", "goes_on"), [(b"a:", b"a"), (b"A.example:", b"A.example"), (b"[::1]:", b"[::1]")])
def test_a_host_with_its_port_left_out_goes_on_as_it_is_matched(host: bytes, goes_on: bytes) -> None:
    text, _ = pass_request(b"GET /x HTTP/1.1\r\nHost:" + host + b"\r\nx: y\r\n\r\n")
    assert b"\r\nHost:" + goes_on + b" \r\nx: y\r\n" in text
    assert request(b"GET /x HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")["authority"] == goes_on


@pytest.mark.parametrize(
    ("target", "line", "host"),
    [
        (b"GET http://a:8000?x=1", b"GET /?x=1", b"a:8000"),
        (b"GET HTTP://[::1]?", b"GET /?", b"[::1]"),
        (b"POST https://a?x=/y", b"POST /?x=/y", b"a"),
        (b"OPTIONS http://a:8000", b"OPTIONS *", b"a:8000"),
        (b"OPTIONS http://a?x", b"OPTIONS /?x", b"a"),
        (b"GET http://a:", b"GET /", b"a"),
    ],
)
def test_H_J_absolute_forms_without_a_path(target: bytes, line: bytes, host: bytes) -> None:
    text, _ = pass_request(target + b" HTTP/1.1\r\nHost: other\r\n\r\n")
    assert text.startswith(line + b" HTTP/1.1\r\nhost: " + host + b"\r\n") and text.lower().count(b"host:") == 1


@pytest.mark.parametrize("minor", [b"2", b"9"])
def test_H_K_a_higher_minor_version_is_the_highest_known(minor: bytes) -> None:
    assert answer(b"HTTP/1." + minor + b" 200 OK\r\nContent-Length: 2\r\n\r\nok")[0][0] == b"HTTP/1.1 200 OK"
    assert pass_request(b"GET /x HTTP/1." + minor + b"\r\nHost: a\r\n\r\n")[0].startswith(b"GET /x HTTP/1.1\r\n")
    for other in (b"HTTP/2.0", b"HTTP/3.1", b"HTTP/1.10"):
        assert refused(other + b" 200 OK\r\nContent-Length: 2\r\n\r\nok") == "bad"


def test_H_L_a_length_stands_beside_chunks_in_HTTP_2_only() -> None:
    both = OK + b"content-length: 2\r\n" + CHUNKED + b"\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"
    assert refused(both) == "bad"
    assert response(both, http2=True)["content_length"] == 2


@pytest.mark.parametrize(("status", "kept"), [(b"426 Upgrade Required", True), (b"200 OK", False), (b"400 Bad", False)])
def test_H_M_an_upgrade_goes_on_with_its_option(status: bytes, kept: bool) -> None:
    lines, _ = answer(
        b"HTTP/1.1 " + status + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"
    )
    assert (b"Upgrade: websocket" in lines, b"connection: upgrade" in lines) == (kept, kept)
    lines, _ = answer(b"HTTP/1.1 " + status + b"\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n")
    assert b"connection: upgrade" not in lines


@pytest.mark.parametrize(
    "data", [b"S", b"SSH-2.0-OpenSSH_9.6\r\n", b"\0\0\x12\x04\0", b"HTP", b"220 ready\r\n", b"<html>", b"\r\n<"]
)
def test_H_O_what_is_no_HTTP_is_known_at_its_first_octets(data: bytes) -> None:
    assert refused(data) == "no http"


@pytest.mark.parametrize("data", [b"", b"H", b"HTTP", b"HTTP/1.1 20", b"\r\nHT", b"\nHTTP/", b"\r"])
def test_H_O_what_may_become_HTTP_is_waited_for(data: bytes) -> None:
    with pytest.raises(EOFError):
        pass_response(data)


@pytest.mark.parametrize("line", [b"X : y", b"X\t: y", b"X \t : y"])
def test_blanks_before_a_colon_are_taken_out_of_responses(line: bytes) -> None:
    """RFC 9112 5.1: a proxy must."""
    lines, _ = answer(OK + line + b"\r\nContent-Length : 2\r\n\r\nok")
    assert lines[1].startswith(b"X:") and lines[2] in (b"Content-Length:  2", b"content-length: 2")


def test_HTTP_1_0_in_chunks_is_read_to_its_end() -> None:
    """RFC 9112 6.1: it is taken, and the connection not used again."""
    head = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED
    assert answer(head + b"\r\n2\r\nok\r\n0\r\n\r\n")[1] == b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "head", [b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"Content-Length: 2\r\nContent-Length: 3\r\n"]
)
def test_what_two_readers_could_take_for_two_answers_is_refused(head: bytes) -> None:
    assert refused(OK + head + b"\r\nok") == "bad"
