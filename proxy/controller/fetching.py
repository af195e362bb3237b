"""Fetches the keys that tokens are verified with, in greenlets of the controller: no request ever waits for it.

HTTP by the standard library, whose waiting is gevent's here: https is verified against the system's CAs, redirects stay
with http and https, an answer is read to a bound; a proxy is used as the environment says (HTTPS_PROXY, NO_PROXY).
"""

import ssl
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

import gevent
from gevent.event import Event
from gevent.pool import Pool

from proxy.controller.keys import KeySets
from proxy.mesh.traffic.tokens import KeySource
from proxy.version import __version__

AT_ONCE = 8
"""So many sets are fetched at the same time; others wait."""
LARGEST = 256 << 10
"""Octets of an answer."""
DISCOVERY = "/.well-known/openid-configuration"


class Unfetched(Exception):
    """There is no set of keys now; says why."""


class Fetching:
    """Keeps `sets` fresh. `news` is called when they are others."""

    def __init__(self, sets: KeySets, news: Callable[[], None]) -> None:
        self.sets = sets
        self._news = news
        self._pool = Pool(AT_ONCE)
        self._woken = Event()
        self._heard = Event()

    def want(self, sources: Mapping[KeySource, int]) -> None:
        """These are all that matter, each with the time that fetching it may take, in ms."""
        self.sets.want(sources)
        self._woken.set()

    def hurry(self) -> None:
        """Fetch them all now."""
        self.sets.hurry()
        self._woken.set()

    def settle(self, seconds: float) -> None:
        """Wait until each was tried, at most so long."""
        with gevent.Timeout(seconds, False):
            while self.sets.unheard:
                self._heard.clear()
                self._heard.wait()

    def run(self) -> None:
        """For ever."""
        while True:
            self._woken.clear()
            for source, timeout_s in self.sets.due():
                self._pool.spawn(self._fetch, source, timeout_s)
            self._woken.wait(self.sets.wait_s())

    def _fetch(self, source: KeySource, timeout_s: float) -> None:
        try:
            news = self.sets.fetched(source, fetch(source, timeout_s))
        except Unfetched as fault:
            news = self.sets.failed(source, str(fault))
        if news:
            self._news()
        self._woken.set()
        self._heard.set()


def fetch(source: KeySource, timeout_s: float) -> str:
    """A set with keys that can be used. Raises Unfetched."""
    # Ten MiB, which only those who have such policies need.
    from proxy.policy.tokens.keys import Unusable, read_keys

    try:
        with gevent.Timeout(timeout_s):
            text = _get(source.uri or _discovered(source.issuer, timeout_s), timeout_s)
        read_keys(text)
    except gevent.Timeout:
        raise Unfetched(f"no answer within {timeout_s:g} s") from None
    except Unusable as fault:
        raise Unfetched(f"it {fault}") from None
    return text


def _discovered(issuer: str, timeout_s: float) -> str:
    """Where an issuer says that its keys are (OpenID Connect Discovery 1.0)."""
    from proxy.policy.tokens import strict

    at = issuer.rstrip("/") + DISCOVERY
    try:
        found = strict.mapping(_get(at, timeout_s).encode()).get("jwks_uri")
    except ValueError as fault:
        raise Unfetched(f"{at} is no JSON: {fault}") from None
    if not isinstance(found, str):
        raise Unfetched(f"{at} has no jwks_uri")
    return found


def _get(url: str, timeout_s: float) -> str:
    """What is there. Raises Unfetched."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise Unfetched(f"{url} is no http:// or https:// URL")
    try:
        asked = Request(url, headers={"User-Agent": f"waypointd/{__version__}", "Accept": "application/json"})
        with _opener().open(asked, timeout=timeout_s) as answer:
            found: bytes = answer.read(LARGEST + 1)
    except HTTPError as fault:
        fault.close()
        raise Unfetched(f"{url} answered {fault.code}") from None
    except (OSError, HTTPException, ValueError) as fault:
        raise Unfetched(f"{url}: {' '.join(str(getattr(fault, 'reason', fault)).split())[:200]}") from None
    if len(found) > LARGEST:
        raise Unfetched(f"{url} answers with more than {LARGEST >> 10} KiB")
    return found.decode("utf-8", "replace")


def _opener() -> OpenerDirector:
    """One that knows HTTP and nothing else: no file, no FTP."""
    made = OpenerDirector()
    for handler in (ProxyHandler, UnknownHandler, HTTPHandler, HTTPDefaultErrorHandler, HTTPRedirectHandler):
        made.add_handler(handler())
    made.add_handler(HTTPSHandler(context=ssl.create_default_context()))
    made.add_handler(HTTPErrorProcessor())
    return made
