"""Clients for every way to deploy Redis: one server, a Unix socket, Sentinel, Cluster; over TLS or not.

All of them behave alike towards what is above: nothing is sent before the first call, no call is ever sent twice when
it may have been executed, and none waits for longer than a few times `timeout` (connecting, and asking a Sentinel or a
node of the Cluster where to go, have one each). redis-py's own retries are off: they cost seconds on a dead server.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.credentials import CredentialProvider
from redis.retry import Retry

from state.server.access import Access, password_in
from state.server.closing import reset_when_closed
from state.server.cluster_client import ClusterClient
from state.server.redis_url import CLUSTER, SENTINEL, SOCKET
from state.server.sentinels import Sentinels
from state.server.tls import Contexts, secure

# No CLIENT SETINFO at each connection: two round trips, and a line in the server's ACL LOG for a user with no more
# rights than it needs. The option for it has changed its name.
_NAMELESS: dict[str, Any] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)


def connect(access: Access, timeout: float) -> redis.Redis:
    """A client of what `access` names; `timeout` in seconds is for each connecting and each answer.

    Raises ValueError for a URL that cannot be read.
    """
    url = access.url
    options = _options(timeout) | ({"ssl": True} if url.tls else {})
    logged_in = options | _credentials(access)
    finish = _finish(access)
    if url.kind == SENTINEL:
        asking = options | _login(access.redis_sentinel_username, None, access.redis_sentinel_password_file)
        sentinels: Any = Sentinels(url.addresses, timeout, asking)
        for sentinel in sentinels.sentinels:
            finish(sentinel)
        return finish(cast(redis.Redis, sentinels.master_for(url.service, db=url.database, **logged_in)))
    if url.kind == CLUSTER:
        return ClusterClient(url.addresses, lambda address: finish(redis.Redis(*address, **logged_in)), timeout)
    if url.kind == SOCKET:
        return redis.Redis(unix_socket_path=url.path, db=url.database, **logged_in)
    host, port = url.addresses[0]
    return finish(redis.Redis(host, port, url.database, **logged_in))


def _finish(access: Access) -> Callable[[redis.Redis], redis.Redis]:
    """What is left to do with a client that redis-py has made."""
    if not access.url.tls:
        return lambda client: client
    contexts = Contexts(access)
    return lambda client: secure(client, contexts)


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
        "encoding_errors": "replace",  # a hand may write anything, and one key is no reason to read no other
        "protocol": 2,
        "redis_connect_func": reset_when_closed,
        **_NAMELESS,
    }


def _credentials(access: Access) -> dict[str, Any]:
    url = access.url
    return _login(access.redis_username or url.username, url.password, access.redis_password_file)


def _login(username: str | None, password: str | None, password_file: str | None) -> dict[str, Any]:
    if not (username or password or password_file):
        return {}
    return {"credential_provider": _Credentials(username or "", password or "", password_file)}


class _Credentials(CredentialProvider):
    """What to log in with, looked at anew for each connection."""

    def __init__(self, username: str, password: str, password_file: str | None) -> None:
        self._username = username
        self._password = password
        self._file = password_file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """(user, password) or (password,). Raises redis.ConnectionError if the file cannot be read now."""
        password = self._read(self._file) if self._file else self._password
        return (self._username, password) if self._username else (password,)

    @staticmethod
    def _read(path: str) -> str:
        try:
            return password_in(path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "holds no password"
            raise redis.ConnectionError(f"the password file {path}: {why}") from None
