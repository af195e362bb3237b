"""Where certificates come from: what `watch` asks of a source, and what it is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.identity.certificates import Certificates


@dataclass(frozen=True, slots=True)
class Finding:
    """What is new: a good set, or what is wrong. `waiting`: nothing is wrong yet, the first answer is still to come."""

    certificates: Certificates | None
    problems: tuple[str, ...] = ()
    waiting: bool = False


class Source(Protocol):
    """Files, or a CA. `look` may be called by another thread than the rest."""

    @property
    def option(self) -> str | None:
        """The setting that names it; None when there is none."""

    def look(self, now: float) -> Finding | None:
        """What is new since the last look; None if nothing is. `now` is seconds since 1970."""

    def run(self, wake: Callable[[], None]) -> None:
        """What is to be done meanwhile, in a greenlet of its own; `wake` says that looking is worth while."""

    def adopted(self, certificates: Certificates) -> None:
        """These are in force already, from a former controller."""

    def unrenewed(self) -> str:
        """What to say of a certificate that comes near its end: who has not renewed it."""

    def shown(self) -> Mapping[str, Any]:
        """For people."""

    def counts(self) -> Mapping[str, int]:
        """What has been counted since the start, by name."""
