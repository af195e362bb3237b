"""Who we are to the API server: a token, a token in a file that is rotated, a certificate, or a program that is asked.

Asked for each request, so that what is rotated is followed without a restart (kubelet renews a token at 80 % of its
life; the server refuses an old one with 401).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proxy.kubernetes.api.faults import AccessFault


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate: two files, or the text of both in PEM."""

    chain_file: str = ""
    key_file: str = ""
    chain: str = ""
    key: str = ""


class Credentials(Protocol):
    """Proof of who we are. Both raise AccessFault."""

    def header(self) -> str:
        """The value of `Authorization`, or ""."""

    def certificate(self) -> Certificate | None:
        """The client certificate, if that is how we are known."""

    def refused(self) -> None:
        """The server has answered 401: whatever is remembered is of no use."""


class _Plain:
    """What needs no certificate, and of which nothing is remembered."""

    __slots__ = ()

    def certificate(self) -> Certificate | None:
        return None

    def refused(self) -> None:
        """There is nothing to forget."""


@dataclass(frozen=True, slots=True)
class Anonymous(_Plain):
    """Nobody, or whoever a client certificate says."""

    own: Certificate | None = None

    def header(self) -> str:
        return ""

    def certificate(self) -> Certificate | None:
        return self.own


@dataclass(frozen=True, slots=True)
class Token(_Plain):
    """A bearer token, for good."""

    token: str

    def header(self) -> str:
        return f"Bearer {self.token}"


@dataclass(frozen=True, slots=True)
class TokenFile(_Plain):
    """A bearer token in a file, read for each request."""

    path: Path

    def header(self) -> str:
        try:
            return f"Bearer {self.path.read_text().strip()}"
        except (OSError, UnicodeDecodeError) as fault:
            raise AccessFault(f"{self.path}: the token cannot be read: {fault}") from None


@dataclass(frozen=True, slots=True)
class Password(_Plain):
    """Basic authentication, as proxies before an API server ask for."""

    name: str
    password: str

    def header(self) -> str:
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()
