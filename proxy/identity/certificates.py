"""What HBONE needs: a set of Istio's three files, or a CA's answer as such. `checking` makes one of what
was read; it brings cryptography, eight MiB, so it is imported where there are certificates to check, and not before."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.ipc.snapshot import TlsForm
from proxy.mesh.model import Listener
from proxy.wire.tls import mesh as mesh_tls

CHAIN, KEY, ROOTS = FILES = ("cert-chain.pem", "key.pem", "root-cert.pem")
HBONE = "HBONE"
LARGEST_FILE = 1024 * 1024

Contents = Mapping[str, bytes | str]
"""By the names in FILES what is in them; text is why that cannot be read."""


class Unusable(Exception):
    """There is no usable set; `problems` has everything that is wrong, each with the file it is in."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Certificates:
    """A set that passed. `chain` begins with the leaf; times are seconds since 1970."""

    chain: bytes
    key: bytes = field(repr=False)
    roots: bytes
    identity: str
    serial: str
    not_before: float
    not_after: float

    @property
    def trust_domain(self) -> str:
        """The leaf's."""
        return mesh_tls.trust_domain_of(self.identity)

    def form(self, trust_domains: Iterable[str]) -> TlsForm:
        """As a snapshot has it."""
        return TlsForm(chain=self.chain, key=self.key, roots=self.roots, trust_domains=[*trust_domains])


def read(directory: str) -> Contents:
    """The files of `directory` as they are now."""
    return {name: content(os.path.join(directory, name)) for name in FILES}


def faults_of(listeners: Iterable[Listener], option: str | None, problems: Sequence[str]) -> tuple[str, ...]:
    """The configuration faults that follow for these listeners from `problems` with the certificates of `option`.

    Without an HBONE listener it is still one that --tls-dir or --ca was given and cannot be used.
    """
    reason = "; ".join(problems)
    unserved = [each for each in listeners if each.protocol == HBONE]
    if not reason or not (unserved or option):
        return ()
    if not unserved:
        return (f"{option}: {reason}",)
    return tuple(f'listener "{each.name}" port {each.port}: HBONE needs certificates: {reason}' for each in unserved)


def stamp(seconds: float) -> str:
    """A time for people: 2025-03-11T19:45:12Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def content(path: str) -> bytes | str:
    """What the file holds, or why that cannot be read."""
    try:
        # Opening a named pipe would wait for its writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return "no such file"
    except OSError as fault:
        return f"cannot be read: {fault.strerror}"
    return found if len(found) <= LARGEST_FILE else f"is larger than {LARGEST_FILE // 1024} KiB"
