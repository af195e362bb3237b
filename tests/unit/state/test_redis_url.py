"""URLs of every kind, and what goes with them."""

import pytest

from state.server.access import Access, faults
from state.server.redis_url import CLUSTER, SENTINEL, SERVER, SOCKET, RedisUrl, parse


def url(kind: str, *addresses: tuple[str, int], **more: object) -> RedisUrl:
    rest = {"tls": False, "path": "", "service": "", "database": 0, "username": "", "password": ""}
    return RedisUrl(kind=kind, addresses=addresses, **rest | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("redis://h", url(SERVER, ("h", 6379))),
        ("redis://:p@h:1/2", url(SERVER, ("h", 1), password="p", database=2)),
        ("redis://h/?db=2", url(SERVER, ("h", 6379), database=2)),
        ("rediss://u:p%40%2F@[::1]:6/1", url(SERVER, ("::1", 6), tls=True, username="u", password="p@/", database=1)),
        ("rediss://u@h", url(SERVER, ("h", 6379), tls=True, username="u")),
        ("unix:///run/a%20b.sock?password=p&db=1", url(SOCKET, path="/run/a b.sock", password="p", database=1)),
        ("unix://u:p@/s", url(SOCKET, path="/s", username="u", password="p")),
        ("redis+sentinel://a,b:1/m", url(SENTINEL, ("a", 26379), ("b", 1), service="m")),
        (
            "rediss+sentinel://u:p@a/m/3",
            url(SENTINEL, ("a", 26379), tls=True, service="m", database=3, username="u", password="p"),
        ),
        ("redis+cluster://a:1,[::1]:2,c", url(CLUSTER, ("a", 1), ("::1", 2), ("c", 6379))),
        ("rediss+cluster://u:p@a/0", url(CLUSTER, ("a", 6379), tls=True, username="u", password="p")),
    ],
)
def test_every_form(text: str, found: RedisUrl) -> None:
    assert parse(text) == found


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in f"{parse('redis://:s3cret@h')!r}{Access('redis://:s3cret@h')!r}"
    for wrong in (
        "redis://u:s3cret/x@h",
        "redis://u:1/s3cret@h",
        "redis://u:s?s3cret=s3cret@h",
        "redis://u:a@s3cret@h",
    ):
        with pytest.raises(ValueError, match=r".") as told:
            parse(wrong)
        assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    ("access", "setting", "remedy"),
    [
        (Access("embedded", redis_ca="f"), "redis_ca", "name a server with --redis URL"),
        (Access("redis://h", "f"), "redis_ca", "--redis rediss://"),
        (Access("rediss://h", redis_cert="f"), "redis_cert", "needs --redis-key too"),
        (Access("rediss://h", redis_key="f"), "redis_key", "needs --redis-cert too"),
        (Access("redis://u:p@h", redis_username="v"), "redis_username", "leave out one of them"),
        (Access("redis://u:p@h", redis_password_file="f"), "redis_password_file", "leave out one of them"),
        (Access("redis://h", redis_sentinel_username="u"), "redis_sentinel_username", "redis+sentinel://H1,H2/SERVICE"),
    ],
)
def test_what_does_not_go_together(access: Access, setting: str, remedy: str) -> None:
    ((name, told),) = faults(access)
    assert name == setting
    assert remedy in told


def test_what_goes_together() -> None:
    sentinel = {"redis_sentinel_username": "u", "redis_sentinel_password_file": "f"}
    tls = {"redis_ca": "f", "redis_cert": "f", "redis_key": "f"}
    for access in (
        Access("embedded"),
        Access("redis://u@h", redis_password_file="f"),
        Access("rediss+sentinel://h/m", redis_username="u", redis_password_file="f", **tls, **sentinel),
        Access("rediss+cluster://u:p@h", **tls),
    ):
        assert not list(faults(access))
