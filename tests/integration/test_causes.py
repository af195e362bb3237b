"""Z5: why an attempt failed is told, by one word, wherever it is told of: in evidence, in the line of an ejection, in
the JSON access log even if a retry hid it. Each word by the real thing."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from tests.hbone.destination import Destination
from tests.hbone.identities import Authority
from tests.hbone.stream import Stream
from tests.integration.captured import Captured, captured, h2_app, h2_name
from tests.integration.http_rig import Client, Peer, Scripted
from tests.integration.test_http_failures import unanswering
from tests.rig import wait_until

JSON = ("--access-log-format", "json")
HEALTHY = 8  # endpoints: as many as may fail without a doubt about our own network
ALL_BY_ONE: dict[str, Any] = {"consecutive5xxErrors": 1, "maxEjectionPercent": 100, "baseEjectionTime": "300s"}
NOBODY = "127.255.255.255"  # a broadcast address: TCP has no way there


def logged(one: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in one.replica.waypoint.lines()]


def ask_until(one: Captured, out: int) -> None:
    """Requests until so many endpoints are out."""

    def enough() -> bool:
        with contextlib.suppress(EOFError):
            one.ask()
        return len([line for line in logged(one) if "ejecting endpoint due" in line.get("msg", "")]) >= out

    wait_until(enough, 15, f"{out} lines of ejections")


def told(one: Captured) -> dict[str, tuple[str, ...]]:
    """By endpoint: the cause in the line of its ejection, in the evidence in Redis, and in the access log."""
    lines, entries = logged(one), one.replica.info("/history?limit=100")
    in_line = {
        line["endpoint"]: line.get("cause", "") for line in lines if "ejecting endpoint due" in line.get("msg", "")
    }
    in_store = {each["endpoint"]: each["evidence"][-1].partition("@")[0] for each in entries if each["kind"] == "eject"}
    failed = [attempt for line in lines for attempt in (line.get("upstream_failed_attempts") or "").split(",")]
    in_log = {address: cause for cause, _, address in (attempt.partition("@") for attempt in failed) if address}
    return {each: (cause, in_store.get(each, ""), in_log.get(each, "")) for each, cause in in_line.items()}


def close(peer: Peer) -> None:
    """Reads a request and is gone."""
    peer.request()


def reset_in_answer(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    time.sleep(0.05)  # a reset throws away what the other side has not read
    peer.reset()


def speak_ssh(peer: Peer) -> None:
    peer.request()
    peer.send(b"SSH-2.0-OpenSSH_9.6\r\n")


def fail(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


def test_Z5_over_tcp(tmp_path: Path) -> None:
    count = 6 + HEALTHY
    with (
        contextlib.ExitStack() as stack,
        captured(tmp_path, count, hbone=False, connect_timeout="300ms", more=JSON, **ALL_BY_ONE) as one,
    ):
        one.asked(count)
        refused, full, closing, cut, ssh, failing, *_ = one.members
        refused.stop()
        stack.enter_context(unanswering(full))
        for member, handler in ((closing, close), (cut, reset_in_answer), (ssh, speak_ssh), (failing, fail)):
            member.play(handler)
        gone = Scripted("web-gone", NOBODY, refused.port)
        one.members_are(*one.members, gone)
        ask_until(one, 7)
        assert told(one) == {
            refused.address: ("refused",) * 3,
            full.address: ("connect_timeout",) * 3,
            closing.address: ("reset",) * 3,
            cut.address: ("reset",) * 3,
            ssh.address: ("protocol",) * 3,
            failing.address: ("503", "503", ""),
            gone.address: ("unreachable",) * 3,
        }


def test_Z5_why_it_was_ejected_is_told_though_no_client_saw_it(tmp_path: Path) -> None:
    with captured(tmp_path, 3, hbone=False, more=JSON, maxEjectionPercent=100) as one:
        victim = one.members[0]
        victim.stop()
        assert set(one.asked(9)) == {"web-1", "web-2"}
        ask_until(one, 1)
        assert told(one) == {victim.address: ("refused",) * 3}
        failed = [line for line in logged(one) if line.get("upstream_failed_attempts")]
        assert [(line["response_code"], line["response_flags"]) for line in failed] == [(200, "-")] * 3
        (entry,) = one.replica.info("/history")
        told_of = [each.split("/") for each in entry["evidence"]]
        assert {cause for cause, _ in told_of} == {"refused@replica"}
        ids = {each for _, each in told_of} - {"", "-"}  # none, where Redis was too slow and was told afterwards
        assert ids <= {line["request_id"] for line in failed}


class Door(Destination):
    """Resets whatever it is asked for, if it `resets`."""

    resets = False

    def _serve(self, stream: Stream) -> None:
        if not self.resets:
            super()._serve(stream)
            return
        with stream.connection.lock:
            stream.connection.reset(stream, ErrorCodes.INTERNAL_ERROR)


def test_Z5_over_hbone(tmp_path: Path) -> None:
    with captured(tmp_path, 7 + HEALTHY, door=Door, more=JSON, **ALL_BY_ONE) as one:
        one.asked(len(one.members))
        dead, denied, strange, resetting, dying, doorless, untrusting, *_ = one.members
        dead.stop()
        one.doors[1].answer = 401
        one.doors[2].present(Authority().leaf("in-ambient"))
        one.doors[3].resets = True  # type: ignore[attr-defined]
        dying.play(close)
        one.doors[5].stop()
        one.doors[6].roots = Authority().root  # it refuses our certificate: an alert behind a handshake that was whole
        one.doors[6].present(one.doors[6].leaf)
        for door in one.doors:
            door.drop()
        ask_until(one, 7)
        assert told(one) == {
            dead.address: ("tunnel_503",) * 3,
            denied.address: ("tunnel_401",) * 3,
            strange.address: ("tls",) * 3,
            resetting.address: ("tunnel_reset",) * 3,
            dying.address: ("tunnel_reset",) * 3,
            doorless.address: ("refused",) * 3,
            untrusting.address: ("tls",) * 3,
        }


def reset_stream(stream: Stream, _: Scripted) -> None:
    stream.recv(1 << 18)
    with stream.connection.lock:
        stream.connection.reset(stream, ErrorCodes.INTERNAL_ERROR)


def say_goaway(stream: Stream, _: Scripted) -> None:
    """It leaves the request out; the connection stays."""
    stream.connection.raw(GoAwayFrame(0, last_stream_id=0).serialize())


def unavailable(stream: Stream, _: Scripted) -> None:
    fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")]
    stream.connection.respond(stream, fields, end=True)


def speak_http1(peer: Peer) -> None:
    peer.more()
    peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


def speak_nonsense(peer: Peer) -> None:
    peer.more()
    peer.send(b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\4\0\0\0\0\0x")  # SETTINGS of one octet


@pytest.mark.parametrize("hbone", [False, True], ids=["tcp", "hbone"])
def test_Z5_over_http2(tmp_path: Path, hbone: bool) -> None:
    app = h2_app(h2_name)
    with captured(tmp_path, 5 + HEALTHY, hbone=hbone, port_name="http2", handler=app, more=JSON, **ALL_BY_ONE) as one:
        one.asked(len(one.members))
        resetting, leaving, failing, old, broken, *_ = one.members
        for member, handler in (
            (resetting, h2_app(reset_stream)),
            (leaving, h2_app(say_goaway)),
            (failing, h2_app(unavailable)),
            (old, speak_http1),
            (broken, speak_nonsense),
        ):
            member.play(handler)
        ask_until(one, 5)
        assert told(one) == {
            resetting.address: ("stream_reset",) * 3,
            leaving.address: ("stream_reset",) * 3,
            failing.address: ("grpc_14", "grpc_14", ""),
            old.address: ("protocol",) * 3,
            broken.address: ("protocol",) * 3,
        }


def say_two_lengths(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok")


@pytest.mark.parametrize(
    ("cause", "status", "hbone"),
    [("malformed", "502", False), ("shortage", "503", True)],
    ids=["malformed", "shortage"],
)
def test_Z5_what_is_no_outcome_is_told_in_the_log_alone(tmp_path: Path, cause: str, status: str, hbone: bool) -> None:
    """An answer that is refused, and a certificate of our own that is missing: neither ejects anybody."""
    with captured(tmp_path, 1, hbone=hbone, own=not hbone, handler=say_two_lengths, more=JSON, **ALL_BY_ONE) as one:
        assert one.asked(3) == [status] * 3
        (member,) = one.members

        def attempts() -> list[str]:
            return [line["upstream_failed_attempts"] for line in logged(one) if "response_code" in line]

        wait_until(lambda: len(attempts()) == 3, 5, "three lines in the log")
        assert [set(each.split(",")) for each in attempts()] == [{f"{cause}@{member.address}"}] * 3
        assert told(one) == {} and one.row(member)["failed"] == 0


def hang(peer: Peer) -> None:
    while peer.more():
        pass


@pytest.mark.parametrize(("patience_s", "cause"), [(1.2, "abandoned"), (10, "timeout")])
def test_Z5_silence(tmp_path: Path, patience_s: float, cause: str) -> None:
    with captured(
        tmp_path, 1, hbone=False, handler=hang, more=(*JSON, "--stream-idle-timeout", "2"), **ALL_BY_ONE
    ) as one:
        with Client(one.replica.port, timeout=patience_s) as client, contextlib.suppress(TimeoutError):
            client.ask("web")
        wait_until(lambda: len(told(one)) == 1, 5, "it is out")
        assert told(one) == {one.members[0].address: (cause,) * 3}
