"""Calls of a script that are sent without waiting for the answers to those before, and executed in that order.

They share a connection while any answer is to come; then it is the pool's again, as after any call. A call that was not
executed, since another node has its keys or the server has lost its scripts, is made anew in the ordinary way when its
answer is asked for, and so is whatever was sent meanwhile: nothing overtakes it.

When a connection ends, be it that an answer was not waited for any longer, nobody knows what has become of the calls
that were on it; each says so, and none is sent again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import redis
from redis.exceptions import AskError, NoScriptError

from state.server.cluster_client import ClusterClient

# Of which MovedError is one.
_NOT_EXECUTED = (AskError, NoScriptError)


class InOrder:
    """One script's calls. One greenlet sends, one (it may be another) asks for the answers, in the order of sending."""

    def __init__(self, client: redis.Redis, script: Any) -> None:
        self._client = client
        self._script = script
        self._lines: dict[Any, _Line] = {}
        self._unanswered = 0
        self._in_turn = False  # each call is made when its answer is asked for, until all are answered

    def send(self, keys: Sequence[str], args: Sequence[Any]) -> Callable[[], Any]:
        """Send a call; what it gives waits for the answer, and is to be called once. Both raise redis.RedisError,
        OSError."""
        self._in_turn = self._in_turn and self._unanswered > 0
        line = None if self._in_turn else self._send(keys, args)
        self._unanswered += 1
        return partial(self._answer, line, keys, args)

    def _send(self, keys: Sequence[str], args: Sequence[Any]) -> "_Line":
        try:
            line = self._line(keys[0])
            line.send("EVALSHA", self._script.sha, len(keys), *keys, *args)
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            self._doubt()
            raise
        return line

    def _line(self, key: str) -> "_Line":
        """The one to the node that has the key."""
        node = self._client.node_for(key) if isinstance(self._client, ClusterClient) else self._client
        if node not in self._lines or self._lines[node].over:
            self._lines = {each: line for each, line in self._lines.items() if not line.over}
            self._lines[node] = _Line(node.connection_pool)
        return self._lines[node]

    def _answer(self, line: "_Line | None", keys: Sequence[str], args: Sequence[Any]) -> Any:
        try:
            return self._script(keys=keys, args=args) if line is None else line.receive()
        except _NOT_EXECUTED:
            self._in_turn = True
            return self._script(keys=keys, args=args)
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            self._doubt()
            raise
        finally:
            self._unanswered -= 1

    def _doubt(self) -> None:
        if isinstance(self._client, ClusterClient):
            self._client.doubt()


class _Line:
    """A connection on which answers are to come."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection = pool.get_connection()
        self._unanswered = 0
        self.over = False  # it has ended, or is the pool's again

    def send(self, *command: Any) -> None:
        """Raises redis.RedisError, OSError."""
        self._unanswered += 1
        try:
            self._connection.send_command(*command)
        except BaseException:  # given up, too
            self._end()
            self._answered()
            raise

    def receive(self) -> Any:
        """The next answer. Raises redis.RedisError, OSError."""
        try:
            if self.over:
                raise redis.ConnectionError("the connection ended before the answer came")
            return self._connection.read_response()
        except redis.ResponseError:
            raise
        except BaseException:
            self._end()
            raise
        finally:
            self._answered()

    def _end(self) -> None:
        self.over = True
        self._connection.disconnect()

    def _answered(self) -> None:
        """Whoever waits for an answer on a connection must not find it in other hands."""
        self._unanswered -= 1
        if not self._unanswered:
            self.over = True
            self._pool.release(self._connection)
