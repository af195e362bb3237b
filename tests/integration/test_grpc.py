"""grpcio's own client and server with a waypoint between them: through tunnels, and on the plain listener (h2c)."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import pytest

from tests.hbone.joined import Forwarder
from tests.integration.hbone_rig import HboneBench, Served, hbone_bench, outlier_rule
from tests.integration.http_rig import Scripted
from tests.rig import wait_until

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # replicas are started by fork and exec
os.environ["GRPC_VERBOSITY"] = "NONE"
import grpc

OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
SERVED = [
    Served("echo", port=5000, port_name="grpc"),
    Served("echoplain", port=5000, port_name="grpc", hbone=False),
    Served("trio", port=5000, port_name="grpc", count=3, hbone=False, rule=outlier_rule("trio")),
]


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Methods on bytes, called /test.Echo/<name>."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.began = threading.Event()
        self.deadlines: list[float] = []
        self.say = b""
        """What `unary` answers; empty: what it was asked."""
        self.available = True

    def service(self, details: Any) -> Any:
        name = details.method.rpartition("/")[2]
        kinds = {
            "Unary": grpc.unary_unary_rpc_method_handler,
            "Fail": grpc.unary_unary_rpc_method_handler,
            "Hang": grpc.unary_unary_rpc_method_handler,
            "Gather": grpc.stream_unary_rpc_method_handler,
            "Spread": grpc.unary_stream_rpc_method_handler,
            "Talk": grpc.stream_stream_rpc_method_handler,
        }
        return kinds[name](getattr(self, name.lower())) if name in kinds else None

    def unary(self, request: bytes, context: Any) -> bytes:
        if not self.available:  # a status in the response head counts, one in trailers does not
            context.abort(grpc.StatusCode.UNAVAILABLE, "no")
        context.set_trailing_metadata((("x-trailer", "end"), ("x-some-bin", b"\x00\xff")))
        context.send_initial_metadata((("x-peer", dict(context.invocation_metadata()).get("x-mine", "")),))
        return self.say or request

    def fail(self, request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode(*_code(int(request))), f"code {int(request)}, as asked\n")
        raise AssertionError

    def hang(self, _request: bytes, context: Any) -> bytes:
        self.began.set()
        self.deadlines.append(context.time_remaining() or 0.0)
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(10)
        return b""

    def gather(self, requests: Iterator[bytes], _context: Any) -> bytes:
        return b"".join(requests)

    def spread(self, request: bytes, _context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    def talk(self, requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        for request in requests:
            yield request[::-1]


def _code(number: int) -> tuple[Any]:
    return (next(code.value for code in grpc.StatusCode if code.value[0] == number),)


@contextlib.contextmanager
def served(endpoint: Scripted, workers: int = 32) -> Iterator[Echo]:
    """A grpcio server in the place of a scripted endpoint."""
    endpoint.stop()
    handler = Echo()
    pool = futures.ThreadPoolExecutor(workers)
    server = grpc.server(pool, handlers=[handler], options=OPTIONS)
    assert server.add_insecure_port(endpoint.address) == endpoint.port
    server.start()
    yield handler
    handler.cancelled.set()
    server.stop(0).wait()
    pool.shutdown()


class Stub:
    """Calls the methods of `Echo`; messages are bytes."""

    def __init__(self, port: int, authority: str = "") -> None:
        options = [*OPTIONS, *([("grpc.default_authority", authority)] if authority else [])]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.unary = self.channel.unary_unary("/test.Echo/Unary")
        self.fail = self.channel.unary_unary("/test.Echo/Fail")
        self.hang = self.channel.unary_unary("/test.Echo/Hang")
        self.gather = self.channel.stream_unary("/test.Echo/Gather")
        self.spread = self.channel.unary_stream("/test.Echo/Spread")
        self.talk = self.channel.stream_stream("/test.Echo/Talk")


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
    answer, call = stub.unary.with_call(b"abc", metadata=(("x-mine", "me"),), timeout=5)
    assert answer == b"abc"
    assert dict(call.initial_metadata())["x-peer"] == "me"
    assert dict(call.trailing_metadata())["x-trailer"] == "end"
    assert dict(call.trailing_metadata())["x-some-bin"] == b"\x00\xff"
    assert call.code() is grpc.StatusCode.OK
    assert [stub.unary(b"%d" % i, timeout=5) for i in range(50)] == [b"%d" % i for i in range(50)]


def test_client_streaming(way: Way) -> None:
    stub, _ = way
    assert stub.gather(iter(b"%03d" % i for i in range(500)), timeout=10) == b"".join(b"%03d" % i for i in range(500))


def test_server_streaming(way: Way) -> None:
    stub, _ = way
    assert [int(each) for each in stub.spread(b"500", timeout=10)] == list(range(500))


def test_both_ways_in_turn(way: Way) -> None:
    """Each message is answered before the next is sent: nothing waits for the end of a request."""
    stub, _ = way
    said = threading.Semaphore(0)

    def talk() -> Iterator[bytes]:
        for number in range(50):
            yield b"%04d" % number
            assert said.acquire(timeout=5)

    for number, answer in enumerate(stub.talk(talk(), timeout=10)):
        assert answer == (b"%04d" % number)[::-1]
        said.release()
    assert number == 49


@pytest.mark.parametrize("code", [1, 3, 5, 7, 13, 14, 16])
def test_errors_by_trailers(way: Way, code: int) -> None:
    stub, _ = way
    with pytest.raises(grpc.RpcError) as failed:
        stub.fail(b"%d" % code, timeout=5)
    assert failed.value.code().value[0] == code
    assert failed.value.details() == f"code {code}, as asked\n"


def test_an_unknown_method(way: Way) -> None:
    stub, _ = way
    with pytest.raises(grpc.RpcError) as failed:
        stub.channel.unary_unary("/test.Echo/Nothing")(b"", timeout=5)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_reaches_the_app_and_ends_the_call(way: Way) -> None:
    stub, app = way
    app.deadlines.clear()
    with pytest.raises(grpc.RpcError) as failed:
        stub.hang(b"", timeout=0.4)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < app.deadlines[0] < 0.45  # the app counts from when it looks, and rounds
    assert app.cancelled.wait(2)


def test_a_cancelled_call_is_cancelled_at_the_app(way: Way) -> None:
    stub, app = way
    call = stub.hang.future(b"")
    assert app.began.wait(3)
    call.cancel()
    assert app.cancelled.wait(3), "the app hears of it"
    assert stub.unary(b"next", timeout=3) == b"next"


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
            except grpc.RpcError as error:
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
        assert fresh(proxy, "trio", 6, lambda stub: stub.unary(b"", timeout=5)) in (
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
                    codes.append(stub.unary(b"", timeout=5))
                except grpc.RpcError as error:
                    codes.append(error.code())
            stub.channel.close()
        assert codes.count(grpc.StatusCode.UNAVAILABLE) == 3
        wait_until(lambda: proxy.ejected("trio") == [members[0].address], 2, "ejected")
        wait_until(lambda: proxy.waypoint.lines('"POST /test.Echo/Unary HTTP/2" 200'), 3, "a line")
