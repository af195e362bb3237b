"""N15: what is said of a Redis that is something else than `--redis` says."""

import pytest
import redis

from state.server.preflight import remedy_of


@pytest.mark.parametrize(
    ("error", "tls", "remedy"),
    [
        (
            redis.TimeoutError("Timeout connecting to server"),
            True,
            "if it speaks no TLS there, write redis:// for",
        ),
        (redis.ConnectionError("Error 1 connecting to a:1. wrong version number."), True, "if it speaks no TLS there"),
        (redis.ConnectionError("Connection closed by server."), False, "if it speaks TLS there, write rediss://"),
        (redis.ResponseError("DB index is out of range"), False, "it has not so many databases"),
        (redis.ResponseError("unknown command 'SENTINEL', with args: 'MASTERS'"), False, "it is no Sentinel: write"),
        (redis.ResponseError("This instance has cluster support disabled"), True, "it is no Cluster: write --redis"),
        (redis.TimeoutError("Timeout connecting to server"), False, ""),
        (redis.ConnectionError("Error 111 connecting to a:1. Connection refused."), True, ""),
    ],
)
def test_what_to_write_instead(error: redis.RedisError, tls: bool, remedy: str) -> None:
    found = remedy_of(error, tls)
    assert found.startswith(remedy) and bool(found) == bool(remedy)
