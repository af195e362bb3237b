"""Follows what TLS to endpoints and of clients is made with: files and Secrets that change; the last good is kept.

Polled; says what there is to log and logs nothing by itself. What was never good is known as a problem: clusters that
need it answer 503, and send nothing in clear text; a listener that needs it refuses its clients' handshakes.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from proxy.identity import certificates, credentials
from proxy.identity.certificates import Unusable
from proxy.identity.credentials import Contents, Secrets
from proxy.identity.watch import Said
from proxy.ipc.snapshot import CredentialForm
from proxy.mesh.traffic.security import Credential

Wanted = Mapping[str, tuple[Credential, str]]
"""By `Credential.name`: what it is, and the rule and path that ask for it."""

_SETTLING_NS = 2_000_000_000


class _Files:
    """What is in files, read again when they look changed. One that is new may look the same when it is not."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], bytes | str]] = {}

    def content(self, path: str) -> bytes | str:
        """As `certificates.content`."""
        try:
            found = os.stat(path)
        except OSError:
            return certificates.content(path)
        looks = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        known = self._known.get(path)
        if known and known[0] == looks and time.time_ns() - max(looks[:2]) > _SETTLING_NS:
            return known[1]
        self._known[path] = looks, certificates.content(path)
        return self._known[path][1]

    def keep(self, paths: Iterable[str]) -> None:
        """No others are asked for any more."""
        self._known = {path: self._known[path] for path in paths if path in self._known}


class CredentialWatch:
    """`forms` are those in force, by name. `clock` is the wall clock that certificates speak of."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.forms: Mapping[str, CredentialForm] = {}
        self.problems: Mapping[str, str] = {}
        """What is wrong with the newest of each, for people; there may be a good form all the same."""
        self._clock = clock
        self._wanted: Wanted | None = None
        self._secrets: Secrets = {}
        self._files = _Files()
        self._decided: dict[str, Contents] = {}
        self._doubted: dict[str, Contents] = {}
        """What is wrong at first sight, and may only be half written: its files change one after the other."""
        self._news: list[Said] = []

    def want(self, wanted: Wanted, secrets: Secrets) -> None:
        """These are needed now; what is in Secrets is this. To be followed by `refresh`."""
        self._wanted, self._secrets = wanted, secrets
        self._files.keep(path for credential, _ in wanted.values() for path in credential.paths)

    def adopt(self, forms: Mapping[str, CredentialForm]) -> None:
        """Go on with what a former controller had in force."""
        self.forms = dict(forms)

    def refresh(self) -> bool:
        """Look at all of them; True when there is something new, good or bad."""
        if self._wanted is None:
            return False
        forms, problems = {}, {}
        for name, (credential, where) in self._wanted.items():
            forms[name], problems[name] = self._look(name, credential, where)
        self._tell({name: text for name, text in problems.items() if text})
        self._decided = {name: contents for name, contents in self._decided.items() if name in forms}
        self._doubted = {name: contents for name, contents in self._doubted.items() if name in forms}
        changed = forms != self.forms
        self.forms = forms
        return changed or bool(self._news)

    def _look(self, name: str, credential: Credential, where: str) -> tuple[CredentialForm, str]:
        """What is in force of one from now on, and what is wrong with the newest."""
        contents = credentials.read(credential, self._secrets, self._files.content)
        former = self.forms.get(name)
        if former and name in self._decided and contents == self._decided[name]:
            return former, self.problems.get(name, "")
        good = former if former and not former["problem"] else None
        found: CredentialForm | None = None
        problems: tuple[str, ...] = ()
        try:
            found = credentials.check(credential, contents, self._clock())
        except Unusable as fault:
            if good and contents != self._doubted.pop(name, None):
                self._doubted[name] = contents
                return good, self.problems.get(name, "")
            problems = fault.problems
        self._decided[name] = contents
        said = "; ".join(f"{where}.{problem}" for problem in problems)
        return found or good or _none(problems[0], credential.serving), said

    def _tell(self, problems: Mapping[str, str]) -> None:
        for name, text in problems.items():
            if self.problems.get(name) != text:
                former = self.forms.get(name)
                kept = former is not None and not former["problem"]
                serving = self._wanted is not None and self._wanted[name][0].serving
                without = "no handshake succeeds with it" if serving else "what needs it gets 503"
                instead = "the last good ones stay in force" if kept else f"{without} until that is mended"
                self._news.append((logging.ERROR, f"{text}; {instead}"))
        for name in self.problems.keys() - problems.keys():
            if self._wanted and name in self._wanted:
                self._news.append((logging.INFO, f"{self._wanted[name][1]}: right again, and in force"))
        self.problems = problems

    def news(self) -> Iterator[Said]:
        """What to log since the last call."""
        said, self._news = self._news, []
        yield from said

    def shown(self) -> dict[str, dict[str, str]]:
        """For people, by name, without what is secret."""
        found = {name: credentials.shown(form) for name, form in self.forms.items()}
        return {
            name: each | ({"problem": self.problems[name]} if name in self.problems else {})
            for name, each in found.items()
        }


def _none(problem: str, serving: bool) -> CredentialForm:
    return CredentialForm(chain=b"", key=b"", roots=b"", crl=b"", verifies=True, serving=serving, problem=problem)
