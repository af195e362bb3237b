"""grpcio's own client and server, with an app of a few methods on bytes."""

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

from tests.integration.http_rig import Scripted

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # replicas are started by fork and exec
os.environ["GRPC_VERBOSITY"] = "NONE"
import grpc

RpcError, Status = grpc.RpcError, grpc.StatusCode

OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
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
