"""Names of the keys and the channel of one cluster in Redis, and the writing of words inside their values.

Pure. The braces make the cluster a hash tag, so that a script's keys share one slot of a Redis Cluster. Values are text
that reads well in redis-cli (`name=value` separated by spaces), hence no spaces inside a word.
"""

from dataclasses import dataclass
from urllib.parse import quote, unquote

# Printable ASCII but the space, and "%" itself, which marks an escape.
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def word(text: str) -> str:
    """`text` without spaces and control characters; `text_of` turns it back."""
    return quote(text, safe=_PLAIN)


def text_of(written: str) -> str:
    """The text that `word` wrote."""
    return unquote(written)


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one cluster, for example `waypoint:{httpbin/in-ambient:8000}:ejected`."""

    prefix: str
    cluster: str

    def _key(self, rest: str) -> str:
        return f"{self.prefix}:{{{self.cluster}}}:{rest}"

    def eject(self, endpoint: str) -> str:
        """String with the ejection's expiry; the truth for "is it ejected"."""
        return self._key(f"eject:{endpoint}")

    def endpoint(self, endpoint: str) -> str:
        """Hash with what is known of an endpoint."""
        return self._key(f"endpoint:{endpoint}")

    @property
    def ejected(self) -> str:
        """Sorted set endpoint -> until; an index over the eject keys."""
        return self._key("ejected")

    @property
    def log(self) -> str:
        """Stream of what happened, newest 200 or so."""
        return self._key("log")

    @property
    def version(self) -> str:
        """Integer that grows with every ejection and lift."""
        return self._key("version")

    @property
    def epoch(self) -> str:
        """Random text; missing or changed means that data was lost."""
        return self._key("epoch")

    @property
    def rule(self) -> str:
        """Text: the rule in force and where it came from, for people."""
        return self._key("rule")

    @property
    def pace(self) -> str:
        """Milliseconds that reports take, the longest of the last minute; missing where they are quick."""
        return self._key("pace")

    @property
    def full(self) -> str:
        """Milliseconds since 1970: when there is, or was, room under the cap again after an overflow."""
        return self._key("full")

    @property
    def rates(self) -> str:
        """Hash: how many requests to each endpoint succeeded and failed in this interval; where a rule asks for it."""
        return self._key("rates")

    @property
    def replicas(self) -> str:
        """Hash: which view of the cluster each replica has, and until when that is to be believed."""
        return self._key("replicas")

    def view(self, name: str) -> str:
        """Hash endpoint -> workload: what replicas with this view say the cluster consists of."""
        return self._key(f"view:{name}")

    def rate_limit(self, number: int) -> str:
        """Hash of a rate limit that the fleet keeps together: what is leased, and who has asked lately."""
        return self._key(f"rate_limit:{number:016x}")

    def rate_limit_of(self, number: int, of: int) -> str:
        """String of what counts by itself under such a limit: what is leased."""
        return f"{self.rate_limit(number)}:{of:016x}"

    @property
    def limits(self) -> str:
        """Hash: which share of the cluster's limits each replica has, where the fleet keeps them together."""
        return self._key("limits")

    @property
    def first_seen(self) -> str:
        """Hash: since when the fleet knows each endpoint, where they warm up."""
        return self._key("first_seen")

    @property
    def events(self) -> str:
        """Channel on which scripts publish."""
        return self._key("events")
