"""A client of a Redis Cluster that sends each command to the node that owns its key.

redis-py's RedisCluster sleeps while a slot moves (TRYAGAIN) or is down, asks all nodes in turn after a failure, fails
on a redirection to a node it has not heard of, and connects when it is made; a report may take none of that. Here:

- Which node owns what is asked (CLUSTER SLOTS) at the first call and at the next one after something went wrong.
- MOVED and ASK are followed, a few times: a node that redirects has not executed the command. TRYAGAIN (some keys of
  the slot have moved already) and CLUSTERDOWN are errors at once; the caller goes on without Redis and comes again.
- An error of the connection is the caller's: what may have been executed is not sent again.

Protocol: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, "Redirection and resharding".
"""

import random
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, cast

import redis
from redis.commands.core import Script
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterError, MovedError, NoScriptError

from state.server.redis_url import Address

# How often a command follows redirections. One is usual, two while slots move.
_HOPS = 4
# Commands without a key, of those that somebody here sends: any node will do. Others have it first, scripts apart.
_KEYLESS = frozenset({"ACL", "CLUSTER", "INFO", "PING", "SCRIPT", "TIME"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})  # name, script, number of keys, keys


class ClusterClient(redis.Redis):
    """Commands whose keys are all of one slot. `node` makes the client of one node; it must not retry.

    No pipelines: those of redis-py keep to one node.
    """

    def __init__(self, seeds: Sequence[Address], node: Callable[[Address], Any], patience: float) -> None:
        self._make_node = node
        self._patience = patience  # seconds
        self._nodes: dict[Address, Any] = {}
        self._seeds = tuple(seeds)
        self._order = list(seeds)  # whom to ask for the slots; who failed or has just answered comes last
        self._ranges: list[tuple[int, int, Address]] = []
        self._moved: dict[int, Address] = {}  # learnt since from MOVED
        self._stale = True
        super().__init__(connection_pool=self._node(self._seeds[0]).connection_pool)

    # -- commands -----------------------------------------------------------------------------------------------------

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The answer of the node that owns the command's key. Raises redis.RedisError, OSError."""
        key = _key_of(args)
        if key is None:
            return self._node(self._refresh()).execute_command(*args, **options)
        slot = key_slot(key.encode())
        address, asking, deadline = self._owner(slot), False, monotonic() + self._patience
        for _ in range(_HOPS):
            try:
                return self._send(self._node(address), asking, args, options)
            except MovedError as moved:
                address, asking = _place(moved, address), False
                self._moved[slot] = address
            except AskError as ask:
                address, asking = _place(ask, address), True
            except (redis.ConnectionError, redis.TimeoutError, ClusterError, OSError):
                self.doubt()
                raise
            if monotonic() > deadline:
                break
        raise ClusterError(f"slot {slot}: redirected again and again; does it move right now?")

    @staticmethod
    def _send(node: Any, asking: bool, args: Sequence[Any], options: dict[str, Any]) -> Any:
        if not asking:
            return node.execute_command(*args, **options)
        with node.pipeline(transaction=False) as both:  # ASKING is for the next command of the same connection
            both.execute_command("ASKING")
            both.execute_command(*args, **options)
            return both.execute()[-1]

    def register_script(self, script: Any) -> Script:
        """The script, ready to be called; sent whole to a node that does not know it yet."""
        return _Script(self, script)

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Keys of all nodes."""
        for node in self.primaries():
            yield from node.scan_iter(*args, **options)

    def pubsub(self, **options: Any) -> Any:
        """On any node: they tell each other what is published."""
        return self._node(self._refresh()).pubsub(**options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """Not over a Cluster."""
        raise ClusterError("no pipelines over a Redis Cluster")

    def close(self) -> None:
        """Close the connections to all nodes."""
        for node in getattr(self, "_nodes", {}).values():
            node.close()

    # -- who owns what ------------------------------------------------------------------------------------------------

    def node_for(self, key: str) -> redis.Redis:
        """A client of the node that owns the key, as far as is known. Raises redis.RedisError, OSError."""
        return cast(redis.Redis, self._node(self._owner(key_slot(key.encode()))))

    def doubt(self) -> None:
        """A node did not do as expected: who owns what is asked anew before the next call."""
        self._stale = True

    def primaries(self) -> list[redis.Redis]:
        """A client of every node that owns slots, as of now."""
        self._refresh()
        return [self._node(address) for address in dict.fromkeys(address for _, _, address in self._ranges)]

    def _node(self, address: Address) -> Any:
        if address not in self._nodes:
            self._nodes[address] = self._make_node(address)
        return self._nodes[address]

    def _owner(self, slot: int) -> Address:
        if self._stale:
            self._refresh()
        if slot in self._moved:
            return self._moved[slot]
        for first, last, address in self._ranges:
            if first <= slot <= last:
                return address
        self._stale = True
        raise ClusterError(f"no node of the Redis Cluster owns slot {slot}")

    def _refresh(self) -> Address:
        """Asks one node after the other for the slots, for a while; the one that answered."""
        deadline = monotonic() + self._patience
        failure: Exception = redis.ConnectionError("no node of the Redis Cluster answers")
        for address in list(self._order):
            try:
                self._adopt(self._node(address).execute_command("CLUSTER", "SLOTS"), address)
                return address
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                failure = error
            finally:
                self._last(address)
            if monotonic() > deadline:
                break
        raise failure

    def _last(self, address: Address) -> None:
        if address in self._order:
            self._order.remove(address)
            self._order.append(address)

    def _adopt(self, slots: list[list[Any]], asked: Address) -> None:
        """Takes over an answer: [[first, last, [host, port, ...] of the primary, replicas...]...]."""
        self._ranges = [(int(row[0]), int(row[1]), (row[2][0] or asked[0], int(row[2][1]))) for row in slots]
        self._moved.clear()
        self._stale = False
        known = {address for _, _, address in self._ranges}.union(self._seeds)
        new = list(known.difference(self._order))
        random.shuffle(new)
        self._order = new + [address for address in self._order if address in known]
        for gone in self._nodes.keys() - known:
            self._nodes.pop(gone).close()


class _Script(Script):
    """redis-py's own loads a script on all nodes, one of which may be dead."""

    def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:
        rest = (*(keys or ()), *(args or ()))
        try:
            return self.registered_client.evalsha(self.sha, len(keys or ()), *rest)
        except NoScriptError:
            return self.registered_client.eval(self.script, len(keys or ()), *rest)  # type: ignore[arg-type]


def _key_of(args: Sequence[Any]) -> str | None:
    name = str(args[0]).upper()
    if name in _SCRIPTS:
        return str(args[3]) if int(args[2]) else None
    return None if name.partition(" ")[0] in _KEYLESS else str(args[1])


def _place(redirection: AskError, asked: Address) -> Address:
    """Where to; an empty host is that of the node that says so."""
    return redirection.host or asked[0], int(redirection.port)
