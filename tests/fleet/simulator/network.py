"""Connections to the server, and the client library that the store's code holds for redis-py.

What is sent on one connection arrives in order, if it arrives; on two connections in any order.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis

from tests.fleet.simulator.server import Server
from tests.fleet.simulator.world import MS, Parked, Process, World

CONNECT_MS = 500
_NAME = re.compile(r"^-- (\w+)\.lua:", re.MULTILINE)
RETRANSMISSION_MS = 200
_SOURCES: dict[str, str] = {}  # of scripts, by what stands for their SHA


@cache
def _name_of(script: str) -> str:
    return str(_NAME.findall(script)[-1])


class Link:
    """The way from one replica to the server."""

    def __init__(self, world: World, delay_ms: float) -> None:
        self._world = world
        self.delay_ms = delay_ms  # one way, about
        self.extra_ms = 0.0
        self.loss = 0.0
        self.cut = False  # what is sent waits, until the cut is mended
        self._waiting: deque[tuple[Connection, Callable[[], None]]] = deque()

    def carry(self, connection: "Connection", arrive: Callable[[], None]) -> None:
        """`arrive` at the other end, unless the connection has ended by then."""
        if self.cut:
            self._waiting.append((connection, arrive))
            return
        delay_ms = (self.delay_ms + self.extra_ms) * (0.9 + 0.2 * self._world.rng.random())
        if self.loss and self._world.rng.random() < self.loss:
            delay_ms += RETRANSMISSION_MS
        connection.last_ns = max(connection.last_ns, self._world.now_ns + int(delay_ms * MS))
        self._world.at(connection.last_ns - self._world.now_ns, arrive)

    def mend(self) -> None:
        """What has waited is sent again, if its connection is there still."""
        self.cut = False
        waiting, self._waiting = self._waiting, deque()
        for connection, arrive in waiting:
            if not connection.closed:
                self.carry(connection, arrive)


class Network:
    """All ways to the server there is; `server` may become another one, which is then the primary."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self.up = True
        self.hung = False
        self.lame: Callable[[], float] = lambda: 0.0  # milliseconds that the server takes for a call
        self._held: list[Callable[[], None]] = []
        self.connections: dict[Connection, None] = {}
        self.half_open_ended: Callable[[int], None] = lambda since_ns: None
        self.calls: dict[str, int] = {}

    def take(self, server: Server) -> None:
        """From now on that is where new connections lead."""
        self.server = server

    def count(self, call: str) -> None:
        """Somebody has made it."""
        self.calls[call] = self.calls.get(call, 0) + 1

    def half_open(self) -> bool:
        """Somebody has a connection on which nothing passes, and has not found out."""
        return any(connection.mute_since_ns and connection.process.alive for connection in self.connections)

    def execute(self, what: Callable[[], None]) -> None:
        """On the server, as soon as it goes on."""
        if self.hung:
            self._held.append(what)
        elif delay_ms := self.lame():
            self.world.at(delay_ms * MS, what)
        else:
            what()

    def go_on(self) -> None:
        """The server is not hung any more."""
        self.hung = False
        held, self._held = self._held, []
        for what in held:
            what()

    def reset(self, but: Server | None = None) -> None:
        """Every connection ends; who is connected hears of it. Not those to `but`."""
        for connection in list(self.connections):
            if connection.server is not but:
                connection.break_off()

    def publish(self, server: Server, channel: str, message: str) -> int:
        """To all who have subscribed there."""
        hear = [each for each in self.connections if each.server is server and channel in each.channels]
        for connection in hear:
            connection.push({"type": "message", "channel": channel, "data": message})
        return len(hear)


class Connection:
    """One TCP connection of a process."""

    def __init__(self, network: Network, link: Link, process: Process) -> None:
        self.network = network
        self.server = network.server
        self.link = link
        self.process = process
        self.last_ns = 0
        self.closed = False  # by us
        self.broken = False  # by the other end, and known here
        self.mute_since_ns = 0  # nothing passes any more, and nobody says so
        self.channels: dict[str, None] = {}
        self.inbox: deque[dict[str, Any]] = deque()
        self._parked: Parked | None = None
        network.connections[self] = None

    def close(self) -> None:
        self.closed = True
        self.network.connections.pop(self, None)
        if self.mute_since_ns:
            self.network.half_open_ended(self.mute_since_ns)

    def break_off(self) -> None:
        """The other end has gone; that is heard of like anything else."""
        self.network.connections.pop(self, None)
        self._send(lambda: self._wake(broken=True))

    def _send(self, arrive: Callable[[], None]) -> None:
        if not self.mute_since_ns and not self.closed:
            self.link.carry(self, arrive)

    def _wake(self, broken: bool = False) -> None:
        self.broken = self.broken or broken
        if self._parked is not None and not self.closed:
            self.network.world.at(0, self._parked.wake, self.process)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until something has come, or the time is over."""
        self._parked = parked = Parked(self.process)
        if timeout_s is not None:
            self.network.world.at(timeout_s * 1e9, parked.wake, self.process)
        try:
            parked.wait()
        finally:
            self._parked = None

    def push(self, message: dict[str, Any]) -> None:
        """The server says something."""

        def arrive() -> None:
            self.inbox.append(message)
            self._wake()

        self._send(arrive)

    def request(self, work: Callable[[Server], Any]) -> None:
        """The server does something, and pushes the answer."""

        def execute() -> None:
            if not self.network.up or self.broken or (self not in self.network.connections and not self.closed):
                return
            try:
                answer = work(self.server)
            except redis.ResponseError as error:
                answer = error
            self.push({"type": "answer", "data": answer})

        self._send(lambda: self.network.execute(execute))

    def read_response(self) -> Any:
        """The next answer. Raises redis.RedisError."""
        try:
            while not self.inbox and not self.broken:
                self.wait()
            if not self.inbox:
                raise redis.ConnectionError("Connection closed by server.")
        except BaseException:  # given up, too
            self.close()
            raise
        answer = self.inbox.popleft()["data"]
        if isinstance(answer, redis.ResponseError):
            raise answer
        return answer

    def send_command(self, name: str, sha: str, keys: int, *rest: Any) -> None:
        """Of which only EVALSHA is known, of a script that somebody has registered."""
        assert name == "EVALSHA"
        self.network.count(sha)
        self.request(lambda server: server.script(_SOURCES[sha], rest[:keys], rest[keys:]))

    def disconnect(self) -> None:
        """For redis-py's."""
        self.close()

    def opened(self) -> bool:
        """A round trip: whether there is anybody."""
        self.request(lambda server: None)
        if not self.network.up:
            self.break_off()
        self.wait(CONNECT_MS / 1000)
        return bool(self.inbox) and self.inbox.popleft() is not None


class Client:
    """For redis.Redis, with as many connections as are used at once."""

    def __init__(self, network: Network, link: Link, process: Process) -> None:
        self.network = network
        self.link = link
        self.process = process
        self._idle: list[Connection] = []

    def connect(self) -> Connection:
        connection = Connection(self.network, self.link, self.process)
        if not connection.opened():
            connection.close()
            if connection.broken:
                raise redis.ConnectionError("Error 111 connecting. Connection refused.")
            raise redis.TimeoutError("Timeout connecting to server")
        return connection

    def forget_idle(self) -> None:
        """Those that nobody uses just now."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def moved(self) -> bool:
        """What there is led to a server that is not the primary any more, and is closed: that is found once (state/
        server/sentinels.py), also where nothing passes on it."""
        elsewhere = [each for each in self._idle if each.server is not self.network.server]
        self._idle = [each for each in self._idle if each not in elsewhere]
        for connection in elsewhere:
            connection.close()
        return bool(elsewhere)

    @property
    def connection_pool(self) -> "Client":
        """It is its own."""
        return self

    def get_connection(self) -> Connection:
        """For redis-py's pool."""
        connection = self._idle.pop() if self._idle else self.connect()
        if connection.broken:  # redis-py finds that out before it sends anything
            connection.close()
            connection = self.connect()
        return connection

    def release(self, connection: Connection) -> None:
        """For redis-py's pool."""
        if not connection.closed:
            self._idle.append(connection)

    def ask(self, work: Callable[[Server], Any]) -> Any:
        connection = self.get_connection()
        try:
            connection.request(work)
            return connection.read_response()
        finally:
            self.release(connection)

    def register_script(self, source: str) -> "Script":
        return Script(self, source)

    def mget(self, names: Sequence[str]) -> Any:
        self.network.count("look")
        return self.ask(lambda server: server.command("MGET", *names))

    def ttl(self, name: str) -> Any:
        return self.ask(lambda server: server.command("PTTL", name) // 1000)

    def zrange(self, name: str, first: int, last: int) -> Any:
        return self.ask(lambda server: server.command("ZRANGE", name, first, last))

    def get(self, name: str) -> Any:
        return self.ask(lambda server: server.command("GET", name))

    @contextmanager
    def pipeline(self, transaction: bool) -> Iterator["Loading"]:
        """Of which only the loading of scripts is known, as one call."""
        loading = Loading()
        yield loading

    def pubsub(self) -> "PubSub":
        return PubSub(self)


class Script:
    """For redis-py's."""

    def __init__(self, client: Client, source: str) -> None:
        self._client = client
        self._source = source
        self.sha = _name_of(source)
        _SOURCES[self.sha] = source

    def __call__(self, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> Any:
        self._client.network.count(self.sha)
        return self._client.ask(lambda server: server.script(self._source, keys, args))


class Loading:
    """Scripts need not be loaded here; the round trip is the client's."""

    def script_load(self, source: str) -> None:
        """See redis-py."""

    def execute(self) -> None:
        """See redis-py."""


class PubSub:
    """For redis-py's."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection: Connection | None = None

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._client.connect()
        return self._connection

    def subscribe(self, *channels: str) -> None:
        connection = self._connected()

        def work(server: Server) -> None:
            for channel in channels:
                connection.channels[channel] = None
                connection.push({"type": "subscribe", "channel": channel})

        connection.request(work)

    def unsubscribe(self, *channels: str) -> None:
        connection = self._connected()

        def work(server: Server) -> None:
            for channel in channels:
                connection.channels.pop(channel, None)
                connection.push({"type": "unsubscribe", "channel": channel})

        connection.request(work)

    def ping(self) -> None:
        connection = self._connected()
        connection.request(lambda server: connection.push({"type": "pong", "channel": ""}))

    def get_message(self, timeout: float) -> dict[str, Any] | None:
        connection = self._connected()
        if not connection.inbox and not connection.broken:
            connection.wait(timeout)
        while connection.inbox:
            message = connection.inbox.popleft()
            if message["type"] != "answer":
                return message
        if connection.broken:
            raise redis.ConnectionError("Connection closed by server.")
        return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
