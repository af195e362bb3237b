"""Requests of one session go to one endpoint (l7-policy.md F19; GEP-1619), as a snapshot says it to a worker. What a
value says is tested without one (tests/unit/policy/test_sessions.py)."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.mesh.traffic.routing import Condition, Op, Part, Persistence, RouteRule
from tests.integration.http_rig import Client, Handler, Head, Peer
from tests.integration.routed_rig import named
from tests.integration.trying import Trying, trying_with, unavailable

RULE = RouteRule("HTTPRoute a/b rule 0", persistence=Persistence("sid"))
IN_HEADER = replace(RULE, persistence=Persistence("X-Session", header=True))


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    with trying_with(tmp_path_factory.mktemp("sessions"), 3) as made:
        made.web.cluster = replace(made.web.cluster, policy=EffectivePolicy(outlier_detection=OutlierDetection()))
        yield made


def serve(trying: Trying, rule: RouteRule, *handlers: Handler, conditions: tuple[Condition, ...] = ()) -> None:
    trying.route(rule, *(handlers or (named, named, named)), conditions=conditions)


def cookie_of(head: Head) -> str:
    """What a browser sends back."""
    return f"cookie: {head['set-cookie'].partition(';')[0]}"


def begin(trying: Trying) -> tuple[str, bytes]:
    """A session: the line that requests bring along, and its endpoint."""
    head, name = trying.ask()
    return cookie_of(head), name


def position(name: bytes) -> int:
    return int(name.rpartition(b"-")[2])


def eject(trying: Trying, name: bytes, ms: int) -> None:
    board, slot = trying.worker.board, trying.web.slots[position(name)]
    until = time.monotonic_ns() // 1_000_000 + ms if ms else 0
    board.outlier.set_state(slot, board.outlier.state(slot)._replace(ejected_until_ms=until))


def test_F19_a_cookie(trying: Trying) -> None:
    serve(trying, RULE)
    head, name = trying.ask()
    value, *attributes = head["set-cookie"].split("; ")
    assert value.startswith("sid=") and attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    with trying.client() as client:
        answers = [client.ask("web", "/", cookie_of(head)) for _ in range(10)]
        others = {client.ask("web", "/")[1] for _ in range(3)}
    assert {said for _, said in answers} == {name}
    assert not any("set-cookie" in answer for answer, _ in answers), "the client has it"
    assert len(others) == 3, "who has no session takes turns"


def test_F19_a_header(trying: Trying) -> None:
    """What the endpoint says under that name is not told."""

    def forger(peer: Peer) -> None:
        name = peer.endpoint.name.encode()
        while True:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nx-session: forged\r\ncontent-length: %d\r\n\r\n%s" % (len(name), name))

    serve(trying, IN_HEADER, forger, forger, forger)
    head, name = trying.ask()
    assert "set-cookie" not in head and "forged" not in head["x-session"]
    for _ in range(4):
        again, same = trying.ask(f"x-session: {head['x-session']}")
        assert same == name and "x-session" not in again


def test_F19_many_cookies_and_what_is_none(trying: Trying) -> None:
    serve(trying, RULE)
    cookie, name = begin(trying)
    value = cookie.partition("sid=")[2]
    for fields in ((f"cookie: sid=old; a=b; sid={value}",), ("cookie: sid=old", f'cookie: sid="{value}"')):
        assert [trying.ask(*fields)[1] for _ in range(3)] == [name] * 3
    for forged in ("sid=", "sid=AAAAAAAAAAAAAAAA", "other=" + value):
        assert "set-cookie" in trying.ask(f"cookie: {forged}")[0]


def test_F19_rules_share_no_sessions(trying: Trying) -> None:
    serve(trying, RULE)
    cookie, _ = begin(trying)
    serve(trying, replace(RULE, name="HTTPRoute a/b rule 1"))
    assert "set-cookie" in trying.ask(cookie)[0]


def test_F19_another_snapshot_the_same_session(trying: Trying) -> None:
    serve(trying, RULE)
    cookie, name = begin(trying)
    for retries in (0, 1):
        serve(trying, replace(RULE, retries=replace(RULE.retries, attempts=retries)))
        head, same = trying.ask(cookie)
        assert same == name and "set-cookie" not in head


def test_F19_an_ejected_endpoint_is_left_and_found_again(trying: Trying) -> None:
    serve(trying, RULE)
    cookie, name = begin(trying)
    eject(trying, name, 3_600_000)
    head, other = trying.ask(cookie)
    assert other != name
    assert trying.ask(cookie_of(head))[1] == other, "a session of its own"
    eject(trying, name, 0)
    head, same = trying.ask(cookie)
    assert same == name and "set-cookie" not in head, "the old session is not over"


def test_F19_an_endpoint_that_fails_is_left(trying: Trying) -> None:
    """The client is given a session at the one that answers, with the same answer."""
    serve(trying, RULE)
    cookie, name = begin(trying)
    handlers = [named, named, named]
    handlers[position(name)] = unavailable
    serve(trying, replace(RULE, retries=replace(RULE.retries, codes=(503,), pause_ms=0)), *handlers)
    head, other = trying.ask(cookie)
    assert (head.status, other != name) == (200, True)
    assert trying.ask(cookie_of(head))[1] == other


def test_F19_times(trying: Trying) -> None:
    kept = Persistence("sid", lifetime_s=3600, absolute_s=3600, idle_s=60)
    serve(trying, replace(RULE, persistence=kept))
    head, name = trying.ask()
    value, *attributes = head["set-cookie"].split("; ")
    token, began, used = value.removeprefix("sid=").split(".")
    assert "Max-Age=3600" in attributes and abs(int(began, 16) - time.time()) < 60
    older = f"{int(began, 16) - 30:x}"
    renewed, same = trying.ask(f"cookie: sid={token}.{older}.{older}")
    assert same == name and renewed["set-cookie"].startswith(f"sid={token}.{older}."), "used now, and begun then"
    for over in (f"{older}.{int(used, 16) - 90:x}", f"{int(began, 16) - 4000:x}.{used}"):
        fresh, _ = trying.ask(f"cookie: sid={token}.{over}")
        assert f".{over.partition('.')[0]}." not in fresh["set-cookie"]


@pytest.mark.parametrize(
    ("op", "text", "path"),
    [(Op.SEGMENTS, "/a/b", "/a/b"), (Op.IS, "/a/b/c", "/a/b/c"), (Op.LIKE, "/a/b[a-z]*/.*", "/a")],
    ids=["prefix", "exact", "like"],
)
def test_F19_the_cookies_path(trying: Trying, op: Op, text: str, path: str) -> None:
    serve(trying, RULE, conditions=(Condition(Part.PATH, op, text),))
    head, _ = trying.ask(path="/a/b/c")
    assert f"Path={path}" in head["set-cookie"].split("; ")


def test_F19_what_we_answer_begins_none(trying: Trying) -> None:
    serve(trying, RULE)
    for each in trying.web.slots:
        board = trying.worker.board
        board.outlier.set_state(each, board.outlier.state(each)._replace(ejected_until_ms=time.monotonic_ns()))
    try:
        with Client(trying.socket.getsockname()[1], 20) as client:
            head, _ = client.ask("web")
            assert head.status == 503 and "set-cookie" not in head
    finally:
        for at in range(3):
            eject(trying, b"web-%d" % at, 0)
