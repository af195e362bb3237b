"""Asks DNS for host names, in greenlets of the controller: no request ever waits for it, and nothing else does.

Over dnspython, which reads resolv.conf (search domains, ndots, several servers), goes to TCP for long answers, and says
how long an answer holds. /etc/hosts is not looked at.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address

import gevent
from gevent.event import Event
from gevent.pool import Pool

from proxy import addresses
from proxy.controller.names import Answer, Names
from proxy.mesh.kinds.addresses import unusable

PATIENCE_S = 5.0
"""How long DNS may take for the addresses of one family, all servers and search domains together."""
TRIES = 4
"""So often somebody is asked meanwhile, one server after the other."""
AT_ONCE = 16
"""So many names are asked for at the same time; others wait."""
RESOLV_CONF = "/etc/resolv.conf"
_FAMILIES = (("A", socket.AF_INET, "192.0.2.1"), ("AAAA", socket.AF_INET6, "2001:db8::1"))
_NO_PORT = 9


class Unanswered(Exception):
    """There is no address for a name now; says why."""


class Asking:
    """Keeps `names` answered. `servers`: `ip:port` of each, () for those of resolv.conf. `news` is called when `names`
    has something to take."""

    def __init__(self, names: Names, servers: Sequence[str], news: Callable[[], None]) -> None:
        self.names = names
        self._servers = servers
        self._news = news
        self._pool = Pool(AT_ONCE)
        self._woken = Event()
        self._heard = Event()

    def want(self, names: Iterable[str]) -> None:
        """These are all that matter."""
        self.names.want(names)
        self._woken.set()

    def settle(self, seconds: float) -> bool:
        """Wait until something is known of each name, at most so long; False if there was nothing to wait for."""
        waits = self.names.unheard
        with gevent.Timeout(seconds, False):
            while self.names.unheard:
                self._heard.clear()
                self._heard.wait()
        return waits

    def run(self) -> None:
        """For ever."""
        while True:
            self._woken.clear()
            for name in self.names.due():
                self._pool.spawn(self._ask, name)
            self._woken.wait(self.names.wait_s())

    def _ask(self, name: str) -> None:
        try:
            if self.names.answered(name, ask(name, self._servers)):
                self._news()
        except Unanswered as fault:
            self.names.failed(name, str(fault))
        self._woken.set()
        self._heard.set()


def ask(name: str, servers: Sequence[str]) -> Answer:
    """The addresses of a name, of the families that we have a route for. Raises Unanswered."""
    # Four MiB, which only those who have such names need.
    from dns.exception import DNSException

    try:
        found = list(_answers(name, servers))
    except (DNSException, OSError, EOFError) as fault:
        raise Unanswered(_in_a_line(fault)) from fault
    given = [each for each, _ in found if not unusable(ip_address(each))]
    if not given:
        raise Unanswered("it has no address that an endpoint may have")
    return Answer(tuple(dict.fromkeys(given)), min(ttl_s for _, ttl_s in found))


def _answers(name: str, servers: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Each address with its TTL."""
    from dns.nameserver import Do53Nameserver
    from dns.resolver import NoResolverConfiguration, Resolver

    try:
        resolver = Resolver(RESOLV_CONF)  # anew for each name: the file may have changed
    except NoResolverConfiguration:
        if not servers:
            raise
        resolver = Resolver(configure=False)
    resolver.timeout = PATIENCE_S / TRIES
    if servers:
        resolver.nameservers = [Do53Nameserver(*addresses.split(each)) for each in servers]
    for kind in _kinds():
        answer = resolver.resolve(name, kind, search=True, lifetime=PATIENCE_S, raise_on_no_answer=False)
        for each in answer.rrset or ():
            yield each.to_text(), answer.chaining_result.minimum_ttl


def _kinds() -> list[str]:
    """The kinds of records with addresses that can be reached; all where none can (a network that is not up yet)."""
    kinds = [kind for kind, family, there in _FAMILIES if _is_routed(family, there)]
    return kinds or [kind for kind, _, _ in _FAMILIES]


def _is_routed(family: int, there: str) -> bool:
    """Whether there is a route; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((there, _NO_PORT))
    except OSError:
        return False
    return True


def _in_a_line(fault: Exception) -> str:
    """Why, shortly: dnspython has long sentences, with each server that was asked."""
    from dns.resolver import NXDOMAIN, LifetimeTimeout, NoNameservers

    if isinstance(fault, NXDOMAIN):
        return "there is no such name (NXDOMAIN)"
    if isinstance(fault, LifetimeTimeout):
        return f"no answer within {PATIENCE_S:g} s"
    if isinstance(fault, NoNameservers):
        codes = sorted({str(each[3]) for each in fault.kwargs.get("errors", ())})
        return f"refused by every name server: {', '.join(codes)}"
    return " ".join(str(fault).split())[:200] or type(fault).__name__
