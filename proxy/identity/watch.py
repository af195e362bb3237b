"""Follows a source of certificates: those in force, what is wrong with newer ones, and when ours end.

Keeps the last good set whatever becomes of the source. Polled; says what there is to log and logs nothing by itself.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from proxy.identity import certificates
from proxy.identity.certificates import Certificates, Unusable, stamp
from proxy.identity.source import Source
from proxy.ipc.snapshot import TlsForm

Said = tuple[int, str]
"""A level of `logging`, and the line."""

REMIND_S = 3600.0
"""How often it is said again that the end is near."""
NEAR = 0.2
"""The part of a certificate's life that is its end: by then it should have been renewed twice."""


class CertificateWatch:
    """The certificates of one replica. `clock` is the wall clock that certificates speak of."""

    def __init__(
        self,
        source: Source,
        trust_domain: str | None = None,
        aliases: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.current: Certificates | None = None
        self.problems: tuple[str, ...] = ()
        """What is wrong with the newest of the source; there may be a `current` set all the same."""
        self.waiting = False
        """`problems` only say that the source has not answered yet."""
        self._source = source
        self._trust_domain = trust_domain
        self._aliases = tuple(aliases)
        self._clock = clock
        self._reminded_at = 0.0

    @property
    def option(self) -> str | None:
        """The setting that says where they come from; None when there is none."""
        return self._source.option

    # -- what there is ----------------------------------------------------------------------------------------------

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """Whose peers are accepted: ours first."""
        own = self._trust_domain or (self.current.trust_domain if self.current else "")
        return tuple(dict.fromkeys(filter(None, (own, *self._aliases))))

    def form(self) -> TlsForm | None:
        """For the snapshot; None when there are none."""
        return self.current.form(self.trust_domains) if self.current else None

    def seconds_left(self) -> float | None:
        """Until our certificate expires; negative afterwards, None without one."""
        return self.current.not_after - self._clock() if self.current else None

    def shown(self) -> dict[str, Any]:
        """For people."""
        current, left = self.current, self.seconds_left()
        shown: dict[str, Any] = {**self._source.shown(), "problems": self.problems}
        if current is None or left is None:
            return shown
        from proxy.identity import checking  # see certificates.py

        return shown | {
            "identity": current.identity,
            "serial_number": current.serial,
            "valid_from": stamp(current.not_before),
            "expiration_time": stamp(current.not_after),
            "days_until_expiration": round(left / 86400, 3),
            "trust_domains": self.trust_domains,
            "roots": checking.shown(current.roots),
        }

    def counts(self) -> Mapping[str, int]:
        """What the source has counted since the start: requests, failures; nothing for files."""
        return self._source.counts()

    # -- following --------------------------------------------------------------------------------------------------

    def run(self, wake: Callable[[], None]) -> None:
        """What the source has to do meanwhile, in a greenlet of its own; `wake` is called when `refresh` is due."""
        self._source.run(wake)

    def adopt(self, tls: TlsForm | None) -> None:
        """Go on with what a former controller had in force, expired or not: whether it will do is for peers to say."""
        if tls and not self.current:
            from proxy.identity import checking  # see certificates.py

            contents = dict(zip(certificates.FILES, (tls["chain"], tls["key"], tls["roots"]), strict=True))
            try:
                self.current = checking.check("the last snapshot", contents, None)
            except Unusable as fault:  # only if it was made by another version
                self.problems = fault.problems
            else:
                self._source.adopted(self.current)
                self.problems, self.waiting = (() if self.waiting else self.problems), False

    def refresh(self) -> bool:
        """Look at the source; True when there is something new, good or bad."""
        if (found := self._source.look(self._clock())) is None:
            return False
        before = (self.current, self.problems)
        self.problems, self.waiting = found.problems, found.waiting
        self.current = found.certificates or self.current
        return (self.current, self.problems) != before

    def news(self) -> Iterator[Said]:
        """What to log when `refresh` found something new. Without any certificate the listeners' faults say why."""
        if (current := self.current) is None:
            return
        for problem in self.problems:
            yield logging.ERROR, problem
        if self.problems:
            yield logging.ERROR, f"keeping the certificate that is valid until {stamp(current.not_after)}"
        else:
            text = f"certificate of {current.identity}, valid until {stamp(current.not_after)}"
            yield logging.INFO, f"{text}; trust domains {', '.join(self.trust_domains)}"
            if current.trust_domain not in self.trust_domains:
                yield logging.WARNING, f"our own trust domain {current.trust_domain} is not one of them"
            self._reminded_at = 0.0

    def reminder(self) -> Said | None:
        """What to log about the end of our certificate, once an hour while it is near or past."""
        current, now = self.current, self._clock()
        if current is None or now - self._reminded_at < REMIND_S:
            return None
        left, life = current.not_after - now, current.not_after - current.not_before
        if left > NEAR * life:
            return None
        self._reminded_at = now
        unrenewed = self._source.unrenewed()
        if left < 0:
            return logging.ERROR, f"our certificate expired at {stamp(current.not_after)}, peers refuse it: {unrenewed}"
        text = f"our certificate expires in {_duration(left)}, at {stamp(current.not_after)}"
        return logging.WARNING, f"{text}: {unrenewed}"


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
