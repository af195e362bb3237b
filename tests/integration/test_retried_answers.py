"""Answers that a rule has tried again, as a snapshot says it to a worker."""

from collections.abc import Iterator

import pytest

from proxy.mesh.traffic.retries import RetryPolicy
from tests.integration.http_rig import MIB, OK, Client, Handler, Peer, answering, serve_ok, unique
from tests.integration.trying import Trying, closing, silent, trying_with, unavailable
from tests.rig import wait_until

GONE = b"HTTP/1.1 %d It\r\n%scontent-length: 4\r\n\r\ngone"


def saying(status: int, fields: bytes = b"") -> Handler:
    return answering(GONE % (status, fields))


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    with trying_with(tmp_path_factory.mktemp("trying"), 3) as made:
        yield made


@pytest.fixture(scope="module")
def trying_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    with trying_with(tmp_path_factory.mktemp("one"), 1) as made:
        yield made


def policy(*on: str, codes: tuple[int, ...] = (), attempts: int = 2, attempt_ms: int | None = None) -> RetryPolicy:
    return RetryPolicy(attempts=attempts, codes=codes, on=on, attempt_ms=attempt_ms, pause_ms=1)


@pytest.mark.parametrize(
    ("rule", "handler", "again"),
    [
        pytest.param(policy(codes=(500,)), saying(500), True, id="T5-codes"),
        pytest.param(policy(codes=(500,)), saying(503), False, id="T9-another-code"),
        pytest.param(policy("5xx"), saying(599), True, id="R10-5xx"),
        pytest.param(policy("gateway-error"), saying(502), True, id="R10-gateway-error"),
        pytest.param(policy("gateway-error"), saying(500), False, id="R10-no-gateway-error"),
        pytest.param(policy("retriable-4xx"), saying(409), True, id="R10-retriable-4xx"),
        pytest.param(policy("retriable-4xx"), saying(404), False, id="R10-another-4xx"),
        pytest.param(policy("5xx"), saying(503, b"x-envoy-ratelimited: true\r\n"), False, id="R3-ratelimited"),
        pytest.param(policy("reset"), saying(503), False, id="R10-reset-is-no-answer"),
        *(
            pytest.param(
                policy(condition), saying(200, b"content-type: application/grpc\r\ngrpc-status: %d\r\n" % number), True,
                id=f"R10-{condition}",
            )
            for condition, number in {
                "cancelled": 1, "deadline-exceeded": 4, "resource-exhausted": 8, "internal": 13, "unavailable": 14,
            }.items()
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_is_tried_again(
    rule: RetryPolicy, handler: Handler, again: bool, method: str, trying: Trying
) -> None:
    """R11: POST as GET. Two endpoints answer so, and each is asked once."""
    trying.under(rule, handler, handler, serve_ok)
    texts, most = set(), 0
    for _ in range(3):  # wherever the turn is
        for each in trying.members:
            each.heads.clear()
        texts.add(trying.ask(method=method, text=b"a body" if method == "POST" else b"")[1])
        most = max(most, trying.attempts())
        assert all(len(each.heads) <= 1 for each in trying.members)
    assert (texts, most) == (({b"ok"}, 3) if again else ({b"ok", b"gone"}, 1))
    bodies = {body for each in trying.members for body in each.bodies}
    assert bodies == ({b"a body"} if method == "POST" else {b""})


def test_T8_R11_used_up_the_last_answer_is_the_client_s(trying: Trying) -> None:
    path = unique()
    trying.under(policy("5xx"), *[saying(503, b"x-of: it\r\n")] * 3)
    before = trying.failures()
    head, text = trying.ask(path=path)
    assert (head.status, head["x-of"], text, trying.attempts()) == (503, "it", b"gone", 3)
    assert trying.flags(path) == ("URX", "via_upstream")
    assert trying.failures() - before == 3, "each endpoint is judged by its answer"


@pytest.mark.parametrize(("failures", "status", "made"), [(2, 200, 3), (4, 500, 4)])
def test_T9_fails_and_is_well_again_on_the_one_endpoint_that_there_is(
    failures: int, status: int, made: int, trying_one: Trying
) -> None:
    left = [failures]

    def failing(peer: Peer) -> None:
        while True:
            peer.request()
            left[0] -= 1
            peer.send(GONE % (500, b"") if left[0] >= 0 else OK)

    trying_one.under(policy(codes=(500,), attempts=3), failing)
    head, _ = trying_one.ask()
    assert (head.status, trying_one.attempts()) == (status, made)


def test_T9_slow_ones_and_the_time_of_one_attempt(trying: Trying) -> None:
    rule = policy("gateway-error", codes=(500,), attempt_ms=200)
    trying.under(rule, silent, silent, serve_ok)
    assert trying.ask(method="POST", text=b"x")[0].status == 200
    trying.under(rule, silent, silent, silent)
    assert trying.ask(method="POST", text=b"x")[0].status == 504


def test_R11_what_broke_off_is_covered_by_reset(trying: Trying) -> None:
    trying.under(policy(codes=(500,)), closing, closing, closing)
    assert (trying.ask(method="POST", text=b"x")[0].status, trying.attempts()) == (503, 1)
    trying.under(policy("reset"), closing, closing, serve_ok)
    assert trying.ask(method="POST", text=b"x")[0].status == 200
    assert {body for each in trying.members for body in each.bodies} == {b"x"}


@pytest.mark.parametrize(("size", "again"), [(100_000, True), (MIB, False)])
def test_R11_a_body_is_sent_again_as_far_as_it_is_kept(size: int, again: bool, trying: Trying) -> None:
    body = bytes(range(250)) * (size // 250)
    trying.under(policy("5xx"), *[saying(503)] * 3)
    assert trying.ask(method="POST", text=body)[0].status == 503
    assert trying.attempts() == (3 if again else 1)
    assert {each for member in trying.members for each in member.bodies} == {body}


def test_R11_a_body_that_is_still_coming_goes_on_to_the_next(trying: Trying) -> None:
    asked: list[Peer] = []

    def hasty(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        asked.append(peer)
        peer.send(GONE % (503, b"connection: close\r\n"))
        peer.rest()

    def patient(peer: Peer) -> None:
        peer.more()
        asked.append(peer)
        serve_ok(peer)

    trying.under(policy("5xx"), hasty, hasty, patient)
    for _ in range(3):  # wherever the turn is
        asked.clear()
        with Client(trying.socket.getsockname()[1]) as client:
            client.send("POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
            wait_until(lambda: asked, 5, "an endpoint has begun to be asked")
            client.send("3\r\ndef\r\n0\r\n\r\n")
            assert client.answer()[0].status == 200
        trying.members[2].drop()
    assert trying.members[2].bodies == [b"abcdef"] * 3


def test_an_answer_that_is_not_taken_leaves_its_connection(trying_one: Trying) -> None:
    trying_one.under(policy("5xx"), answering(GONE % (503, b""), OK))
    assert trying_one.ask()[0].status == 200
    assert len(trying_one.members[0].peers) == 1
    trying_one.under(policy("5xx"), unavailable)
    assert trying_one.ask()[0].status == 503, "and one that closes it is no failure"
