"""The scripts of state/lua, run by LuaJIT in this process, on a server of server.py."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import msgpack

try:  # several times as quick; the language is Redis's all the same
    from lupa.luajit21 import LuaError, LuaRuntime, lua_type  # type: ignore[import-untyped]
except ImportError:
    from lupa.lua51 import LuaError, LuaRuntime, lua_type  # type: ignore[import-untyped]

import redis

if TYPE_CHECKING:
    from tests.fleet.simulator.server import Server

# Policies and views come again and again; no script changes what it has unpacked.
UNPACKED = 256
# A failed command is a table with `err`, as for Redis: `call` raises it, `pcall` hands it over.
_REDIS = """
redis = {
  pcall = function(...) return command(...) end,
  call = function(...)
    local reply = command(...)
    if type(reply) == 'table' and reply.err then error(reply.err, 0) end
    return reply
  end,
}
"""


class Interpreter:
    """One for all servers of this process: scripts are compiled once."""

    def __init__(self) -> None:
        self._lua = LuaRuntime(unpack_returned_tuples=True, encoding="latin-1", register_eval=False)
        self._server: Server | None = None
        self._functions: dict[str, Callable[[], Any]] = {}
        names = self._lua.globals()
        unpack = lru_cache(UNPACKED)(self._unpack)
        names.command, names.cmsgpack = self._command, self._lua.table_from({"unpack": unpack})
        self._lua.execute(_REDIS)
        self._globals, self._load = names, self._lua.eval("loadstring")
        self._table = self._lua.table_from

    def run(self, server: "Server", source: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """A script's reply, as redis-py gives it. Raises redis.ResponseError."""
        function = self._functions.get(source)
        if function is None:
            function = self._functions[source] = self._load(source)
        self._server = server
        self._globals.KEYS, self._globals.ARGV = self._table(keys), self._table(map(_argument, arguments))
        try:
            return _reply(function())
        except LuaError as error:
            raise redis.ResponseError(str(error)) from error

    def _command(self, name: str, *arguments: Any) -> Any:
        assert self._server is not None
        try:
            reply = self._server.command(name, *arguments)
        except redis.ResponseError as error:
            return self._table({"err": str(error)})
        if type(reply) in (list, dict):
            return self._table(reply)
        return False if reply is None else reply

    def _unpack(self, packed: str) -> Any:
        return self._lua.table_from(msgpack.unpackb(packed.encode("latin-1")), recursive=True)


@cache
def interpreter() -> Interpreter:
    """This process's."""
    return Interpreter()


def _argument(given: Any) -> Any:
    return given if type(given) in (str, bytes) else str(given)


def _reply(value: Any) -> Any:
    if lua_type(value) == "table":
        return [_reply(value[place]) for place in range(1, len(value) + 1)]
    if isinstance(value, float):
        return int(value)
    return None if value is False else value
