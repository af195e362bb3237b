"""Stores of every kind: the local one, fakeredis, and each real server found on the machine (redis_rig.py)."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import pytest
import redis

from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests import redis_rig
from tests.state.state_rig import FakeTime, Rig, fake_rig, local_rig, real_rig

Servers = Callable[[str], redis_rig.Server]
SERVERS = list(redis_rig.binaries())


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], redis_rig.Server]]:
    """One server of each kind for the whole session, by the name of its binary; started when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def named(name: str) -> redis_rig.Server:
            return stack.enter_context(redis_rig.server(tmp_path_factory.mktemp(name), redis_rig.binaries()[name]))

        yield named


@pytest.fixture(scope="session")
def server() -> Iterator[Embedded]:
    """A server as waypointd starts it, for the whole session."""
    embedded = Embedded.start(0)
    yield embedded
    embedded.stop()


@pytest.fixture
def start() -> Iterator[Callable[..., Embedded]]:
    """`Embedded.start`, by default on a free port; what it starts is gone after the test."""
    started: list[Embedded] = []

    def start_one(port: int = 0, insist: bool = False) -> Embedded:
        started.append(Embedded.start(port, insist))
        return started[-1]

    yield start_one
    for embedded in started:
        embedded.process.kill()
        embedded.process.wait()


@contextlib.contextmanager
def emptied(server: redis_rig.Server) -> Iterator[redis.Redis]:
    with connect(Access(server.url), 5.0) as client:
        client.flushall()
        yield client


@pytest.fixture(params=SERVERS)
def real(request: pytest.FixtureRequest, servers: Servers) -> Iterator[redis.Redis]:
    """A client of each kind of server, emptied."""
    with emptied(servers(request.param)) as client:
        yield client


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock of every fakeredis of this test."""
    clock = FakeTime()
    for module in ("_helpers", "_socket._base", "commands_mixins.server_mixin"):
        monkeypatch.setattr(f"fakeredis.{module}.time", clock)
    return clock


@pytest.fixture(params=["local", "fakeredis", *SERVERS])
def rig(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Rig]:
    """Every kind of store; on the real ones time passes as it does, so keep it short."""
    if request.param == "local":
        yield local_rig()
    elif request.param == "fakeredis":
        yield fake_rig(request.getfixturevalue("fake_time"))
    else:
        with emptied(servers(request.param)) as client:
            yield real_rig(client)


@pytest.fixture(params=["local", "fakeredis"])
def clocked(request: pytest.FixtureRequest) -> Rig:
    """Stores whose clock can be moved by hours."""
    return local_rig() if request.param == "local" else fake_rig(request.getfixturevalue("fake_time"))


@pytest.fixture(params=["fakeredis", *SERVERS])
def shared(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Rig]:
    """Stores on a server."""
    if request.param == "fakeredis":
        yield fake_rig(request.getfixturevalue("fake_time"))
    else:
        with emptied(servers(request.param)) as client:
            yield real_rig(client)
