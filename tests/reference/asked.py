"""What somebody asks of a waypoint, for the reference and for what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request; without a method a connection that carries none. `claims`: of a token that has been verified. `mode`:
    how the waypoint normalises paths."""

    method: str = "GET"
    path: str = "/"
    host: str = "cart"
    headers: tuple[tuple[str, str], ...] = ()
    identity: str = ""
    source: str = "10.0.0.9"
    dialled: str = "10.1.0.1"
    port: int = 80
    claims: Mapping[str, Any] | None = None
    mode: str = "BASE"

    def of(self, path: str) -> Asked:
        """The same for that path."""
        return replace(self, path=path)

    def head(self) -> bytes:
        """As it comes."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {self.host}", *map(": ".join, self.headers)]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()

    @property
    def peer(self) -> bytes:
        return _endpoint(self.source, 40000)

    @property
    def target(self) -> bytes:
        return _endpoint(self.dialled, self.port)

    @property
    def namespace(self) -> str:
        """The client's; "" if it has no identity."""
        parts = self.identity.split("/")
        return parts[4] if len(parts) == 7 and parts[3] == "ns" else ""

    def values(self, header: str) -> list[str]:
        """Of its lines of that header."""
        return [value for name, value in self.headers if name.lower() == header.lower()]


def _endpoint(ip: str, port: int) -> bytes:
    return (f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}").encode()
