"""Where Redis is and how to get in: what a user says in settings, and what can be wrong with it.

Fields are called as the settings are. `faults` knows the rules between them and reads nothing; `file_faults` looks at
the files. A fault is (setting, what is wrong and what to do); none tells a secret.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from state.server.redis_url import SENTINEL, RedisUrl, parse

Fault = tuple[str, str]

_TLS = ("redis_ca", "redis_cert", "redis_key")
_SENTINEL = ("redis_sentinel_username", "redis_sentinel_password_file")


@dataclass(frozen=True, slots=True)
class Access:
    """Where Redis is and how to get in. Files are looked at again for each new connection, so they may be rotated."""

    redis: str
    redis_ca: str | None = None
    redis_cert: str | None = None
    redis_key: str | None = None
    redis_username: str | None = None
    redis_password_file: str | None = None
    redis_sentinel_username: str | None = None
    redis_sentinel_password_file: str | None = None

    def __repr__(self) -> str:
        return "Access(...)"  # the URL may hold a password

    @property
    def url(self) -> RedisUrl:
        """The URL, read. Raises ValueError."""
        return parse(self.redis)

    def given(self, *names: str) -> list[str]:
        """Those of these settings that are set."""
        return [name for name in names if getattr(self, name)]


def faults(access: Access) -> Iterator[Fault]:
    """What does not go together. The URL is right by itself, or `embedded`."""
    if access.redis == "embedded":
        for name in access.given(*Access.__slots__[1:]):
            yield name, "is not for the embedded Valkey: leave it out, or name a server with --redis URL"
        return
    url = access.url
    if not url.tls:
        for name in access.given(*_TLS):
            yield name, "is for TLS: write --redis rediss://... (rediss+sentinel://, rediss+cluster://)"
    if bool(access.redis_cert) != bool(access.redis_key):
        there, missing = ("redis_cert", "--redis-key") if access.redis_cert else ("redis_key", "--redis-cert")
        yield there, f"needs {missing} too: a certificate is of no use without its key"
    if url.kind != SENTINEL:
        for name in access.given(*_SENTINEL):
            yield name, "is for Sentinels: write --redis redis+sentinel://H1,H2/SERVICE"
    if access.redis_username and url.username:
        yield "redis_username", "says what the URL of --redis says already: leave out one of them"
    if access.redis_password_file and url.password:
        yield "redis_password_file", "says what the URL of --redis says already: leave out one of them"


def file_faults(access: Access) -> Iterator[Fault]:
    """What is wrong with the files, as they are now."""
    for name in access.given("redis_password_file", "redis_sentinel_password_file"):
        try:
            password_in(getattr(access, name))
        except (OSError, ValueError) as error:
            yield name, _reason(getattr(access, name), error)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.redis_ca:
        try:
            context.load_verify_locations(access.redis_ca)
        except OSError as error:  # ssl.SSLError is one
            yield "redis_ca", _reason(access.redis_ca, error, "must hold CA certificates in PEM")
    if access.redis_cert and access.redis_key:
        try:
            context.load_cert_chain(access.redis_cert, access.redis_key, password=_no_password)
        except (OSError, ValueError) as error:
            name = "redis_key" if _readable(access.redis_cert) else "redis_cert"
            yield (
                name,
                _reason(getattr(access, name), error, "must hold, in PEM, a certificate and its unencrypted key"),
            )


def password_in(path: str) -> str:
    """The password in a file: its first line. Raises OSError, or ValueError if there is none."""
    line = Path(path).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    if not line:
        raise ValueError("holds no password; write it in the first line")
    return line


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _readable(path: str) -> bool:
    try:
        Path(path).read_bytes()
    except OSError:
        return False
    return True


def _reason(path: str, error: Exception, expected: str = "") -> str:
    """Why a file will not do; a UnicodeDecodeError would show what is in it."""
    if isinstance(error, UnicodeDecodeError):
        return f"{path}: is not text"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return f"{path}: {error.strerror}"
    return f"{path}: {expected or error}"
