"""The files of --tls-dir as a source of certificates: looked at, by content, whenever asked."""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.identity import certificates
from proxy.identity.certificates import Certificates, Unusable
from proxy.identity.source import Finding


class Files:
    """`directory` None is the source where there is none, which says `unset`."""

    def __init__(self, directory: str | None, unset: str = "--tls-dir is not set") -> None:
        self.directory = directory
        self._unset = unset
        self._seen: certificates.Contents | None = None
        self._doubted: certificates.Contents | None = None
        self._wrong = False

    @property
    def option(self) -> str | None:
        """The setting that names them."""
        return "--tls-dir" if self.directory else None

    def look(self, now: float) -> Finding | None:
        """What is in them, if it is new, good or bad."""
        first = self._seen is None
        contents: certificates.Contents = certificates.read(self.directory) if self.directory else {}
        if contents == self._seen and not self._wrong:  # what was wrong may be right by now: it may become valid
            return None
        try:
            if self.directory is None:
                raise Unusable([self._unset])
            from proxy.identity import checking  # see certificates.py

            found = checking.check(self.directory, contents, now)
        except Unusable as fault:
            # The three files may be written one after the other: what is wrong now may be right in a moment.
            believed = first or contents in (self._seen, self._doubted)
            self._doubted = contents
            if not believed:
                return None
            self._seen, self._wrong = contents, True
            return Finding(None, fault.problems)
        self._seen, self._wrong = contents, False
        return Finding(found)

    def run(self, wake: Callable[[], None]) -> None:
        """Nothing: looking is enough."""

    def adopted(self, certificates: Certificates) -> None:
        """Nothing follows from it: what the files hold counts."""

    def unrenewed(self) -> str:
        """Whoever writes them has not."""
        return f"nobody has renewed {self.directory}/{certificates.CHAIN}"

    def shown(self) -> Mapping[str, Any]:
        """Where they are."""
        return {"directory": self.directory}

    def counts(self) -> Mapping[str, int]:
        """None: nothing is asked of anybody."""
        return {}
