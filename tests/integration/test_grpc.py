"""grpcio's own client and server with a waypoint between them: through tunnels, and on the plain listener (h2c)."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.hbone.joined import Forwarder
from tests.integration.grpc_rig import Echo, RpcError, Status, Stub, served
from tests.integration.hbone_rig import HboneBench, Served, hbone_bench, outlier_rule
from tests.rig import wait_until

SERVED = [
    Served("echo", port=5000, port_name="grpc"),
    Served("echoplain", port=5000, port_name="grpc", hbone=False),
    Served("trio", port=5000, port_name="grpc", count=3, hbone=False, rule=outlier_rule("trio")),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("grpc"), *SERVED, http=True) as running:
        yield running


@pytest.fixture(scope="module")
def apps(proxy: HboneBench) -> Iterator[dict[str, Echo]]:
    with contextlib.ExitStack() as stack:
        names = ("echo", "echoplain")
        yield {name: stack.enter_context(served(proxy.services[name][0])) for name in names}


WAYS = ("tunnel to tunnel", "tunnel to plain", "plain to tunnel", "plain to plain")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, proxy: HboneBench, apps: dict[str, Echo]) -> Iterator[tuple[Stub, Echo]]:
    """A stub and the app it reaches, by one way in and one way out."""
    near, _, far = request.param.split(" ")
    name = "echo" if far == "tunnel" else "echoplain"
    apps[name].cancelled.clear()
    apps[name].began.clear()
    with contextlib.ExitStack() as stack:
        if near == "tunnel":
            forwarder = stack.enter_context(Forwarder(lambda: proxy.tunnel(name)))
            stub = Stub(forwarder.port)
        else:
            stub = Stub(proxy.http, f"{name}.httpbin:5000")
        stack.callback(stub.channel.close)
        yield stub, apps[name]


Way = tuple[Stub, Echo]


def test_unary(way: Way) -> None:
    stub, _ = way
    answer, call = stub.unary.with_call(b"abc", metadata=(("x-mine", "me"),), timeout=20)
    assert answer == b"abc"
    assert dict(call.initial_metadata())["x-peer"] == "me"
    assert dict(call.trailing_metadata())["x-trailer"] == "end"
    assert dict(call.trailing_metadata())["x-some-bin"] == b"\x00\xff"
    assert call.code() is Status.OK
    assert [stub.unary(b"%d" % i, timeout=20) for i in range(50)] == [b"%d" % i for i in range(50)]


def test_client_streaming(way: Way) -> None:
    stub, _ = way
    assert stub.gather(iter(b"%03d" % i for i in range(500)), timeout=30) == b"".join(b"%03d" % i for i in range(500))


def test_server_streaming(way: Way) -> None:
    stub, _ = way
    assert [int(each) for each in stub.spread(b"500", timeout=30)] == list(range(500))


def test_both_ways_in_turn(way: Way) -> None:
    """Each message is answered before the next is sent: nothing waits for the end of a request."""
    stub, _ = way
    said = threading.Semaphore(0)

    def talk() -> Iterator[bytes]:
        for number in range(50):
            yield b"%04d" % number
            assert said.acquire(timeout=20)

    for number, answer in enumerate(stub.talk(talk(), timeout=30)):
        assert answer == (b"%04d" % number)[::-1]
        said.release()
    assert number == 49


@pytest.mark.parametrize("code", [1, 3, 5, 7, 13, 14, 16])
def test_errors_by_trailers(way: Way, code: int) -> None:
    stub, _ = way
    with pytest.raises(RpcError) as failed:
        stub.fail(b"%d" % code, timeout=20)
    assert failed.value.code().value[0] == code
    assert failed.value.details() == f"code {code}, as asked\n"


def test_an_unknown_method(way: Way) -> None:
    stub, _ = way
    with pytest.raises(RpcError) as failed:
        stub.channel.unary_unary("/test.Echo/Nothing")(b"", timeout=20)
    assert failed.value.code() is Status.UNIMPLEMENTED


def test_a_deadline_reaches_the_app_and_ends_the_call(way: Way) -> None:
    stub, app = way
    app.deadlines.clear()
    with pytest.raises(RpcError) as failed:
        stub.hang(b"", timeout=1.5)
    assert failed.value.code() is Status.DEADLINE_EXCEEDED
    assert 0 < app.deadlines[0] < 1.55  # the app counts from when it looks, and rounds
    assert app.cancelled.wait(10)


def test_a_cancelled_call_is_cancelled_at_the_app(way: Way) -> None:
    stub, app = way
    call = stub.hang.future(b"")
    assert app.began.wait(10)
    call.cancel()
    assert app.cancelled.wait(10), "the app hears of it"
    assert stub.unary(b"next", timeout=20) == b"next"


def test_messages_of_32_mib(way: Way) -> None:
    stub, _ = way
    message = os.urandom(1 << 20) * 32
    assert stub.unary(message, timeout=60) == message


def test_a_thousand_streams_over_ten_tunnels(proxy: HboneBench, apps: dict[str, Echo]) -> None:
    """All of them open at once: a message there and back on each, then the end of each."""
    with served_wide(proxy) as (name, _), Forwarder(lambda: proxy.tunnel(name)) as forwarder:
        stubs = [Stub(forwarder.port) for _ in range(10)]
        gates = [threading.Event() for _ in range(1000)]

        def talk(number: int) -> Iterator[bytes]:
            yield b"%04d" % number
            gates[number].wait(30)

        calls = [stubs[i % 10].talk(talk(i), timeout=60) for i in range(1000)]
        for number, call in enumerate(calls):
            assert next(call) == (b"%04d" % number)[::-1]
        assert forwarder.opened == 10
        for gate in gates:
            gate.set()
        for call in calls:
            assert list(call) == []
        for stub in stubs:
            stub.channel.close()


@contextlib.contextmanager
def served_wide(proxy: HboneBench) -> Iterator[tuple[str, Echo]]:
    """An app with a thread for each of a thousand calls."""
    with served(proxy.services["trio"][0], 1010) as app:
        others = proxy.services["trio"][1:]
        for member in others:
            member.stop()
        yield "trio", app


def fresh(proxy: HboneBench, name: str, count: int, call: Callable[[Stub], Any]) -> list[Any]:
    """The results of calls that each have a channel and a tunnel of their own."""
    results = []
    with Forwarder(lambda: proxy.tunnel(name)) as forwarder:
        for _ in range(count):
            stub = Stub(forwarder.port)
            try:
                results.append(call(stub))
            except RpcError as error:
                results.append(error.code())
            stub.channel.close()
    return results


def test_calls_take_turns_and_unavailable_ejects(tmp_path: Any) -> None:
    """Envoy's mapping: grpc-status 14 counts as 503."""
    with hbone_bench(tmp_path, *SERVED[2:]) as proxy, contextlib.ExitStack() as stack:
        members = proxy.services["trio"]
        handlers = [stack.enter_context(served(member, 4)) for member in members]
        for number, handler in enumerate(handlers):
            handler.say = b"%d" % number
        assert fresh(proxy, "trio", 6, lambda stub: stub.unary(b"", timeout=20)) in (
            [b"0", b"1", b"2"] * 2,
            [b"1", b"2", b"0"] * 2,
            [b"2", b"0", b"1"] * 2,
        )
        handlers[0].available = False
        with Forwarder(lambda: proxy.tunnel("trio")) as forwarder:
            stub = Stub(forwarder.port)
            codes = []
            for _ in range(20):
                try:
                    codes.append(stub.unary(b"", timeout=20))
                except RpcError as error:
                    codes.append(error.code())
            stub.channel.close()
        assert codes.count(Status.UNAVAILABLE) == 3
        wait_until(lambda: proxy.ejected("trio") == [members[0].address], 2, "ejected")
        wait_until(lambda: proxy.waypoint.lines('"POST /test.Echo/Unary HTTP/2" 200'), 3, "a line")
