"""WebSocket with clients and servers that nobody here wrote: aiohttp over HTTP/1.1, Node over HTTP/2."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.captured import Captured, captured
from tests.integration.http_rig import Scripted
from tests.integration.servers import HERE
from tests.rig import wait_until

PROGRAM = str(HERE / "websocket.js")


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    pytest.importorskip("aiohttp")
    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian: nodejs)")


def node(port: int, path: str) -> list[str]:
    """What Node's client is told: the status, what came back, how it ended."""
    command = ["node", PROGRAM, "ask", str(port), "web", path, "hello"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()


async def aiohttp_asks(port: int, path: str) -> list[str]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}{path}"
        async with session.ws_connect(url, headers={"host": "web"}, protocols=["chat"]) as made:
            await made.send_str("hello")
            said = await made.receive_str()
            await made.close()
            return ["101", said, str(made.close_code)]


@contextlib.contextmanager
def serving(member: Scripted, *command: str) -> Iterator[None]:
    """In the place of that endpoint, from when it listens."""
    member.stop()
    with subprocess.Popen([*command, member.ip, str(member.port)]) as process:
        try:
            wait_until(lambda: _listens(member), 30, "the server listens")
            yield
        finally:
            process.terminate()


def _listens(member: Scripted) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((member.ip, member.port), 5):
        return True
    return False


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    server = (sys.executable, str(HERE / "websocket_aiohttp.py"))
    with captured(tmp_path_factory.mktemp("old"), 1) as one, serving(one.members[0], *server):
        yield one


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    made = tmp_path_factory.mktemp("new")
    with captured(made, 1, port_name="http2") as one, serving(one.members[0], "node", PROGRAM, "serve"):
        yield one


def test_Node_over_HTTP_2_to_aiohttp_over_HTTP_1(old: Captured) -> None:
    assert node(old.replica.port, "/chat") == ["200", "HELLO", "end"]
    assert old.line("/chat")["status"] == "101"


def test_aiohttp_over_HTTP_1_to_Node_over_HTTP_2(new: Captured) -> None:
    assert asyncio.run(aiohttp_asks(new.replica.port, "/chat")) == ["101", "HELLO", "1000"]
    assert new.line("/chat")["status"] == "101"


def test_Node_at_both_ends(new: Captured) -> None:
    assert node(new.replica.port, "/both") == ["200", "HELLO", "end"]


def test_aiohttp_at_both_ends(old: Captured) -> None:
    assert asyncio.run(aiohttp_asks(old.replica.port, "/old")) == ["101", "HELLO", "1000"]
