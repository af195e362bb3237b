"""Which Host an admin page answers to. Pure.

A web page that makes its own name mean 127.0.0.1 (DNS rebinding) lets a browser read what only this machine should see,
and the browser then says that name: so a page answers to the names of loopback and to the address that it listens on.
Ports do not matter: they are forwarded. A client that names no host (HTTP/1.0) is no browser.
"""

from collections.abc import Callable, Sequence

from proxy import addresses

Expects = Callable[[Sequence[str]], bool]
"""Whether these values of Host are such as the page answers to."""


def anyone(hosts: Sequence[str]) -> bool:
    """For what everybody may see."""
    return True


def only_ours(listening: str) -> Expects:
    """The Hosts of a page that listens on `listening`, HOST:PORT."""
    own = addresses.split(listening)[0].lower()

    def expects(hosts: Sequence[str]) -> bool:
        return len(hosts) < 2 and all(_is_ours(_name(host), own) for host in hosts)

    return expects


def _is_ours(name: str, own: str) -> bool:
    return name == own or addresses.is_loopback(name) or name.endswith(".localhost")


def _name(host: str) -> str:
    """A Host without its port."""
    bare = host.strip().lower()
    if bare.startswith("["):
        return bare[1:].partition("]")[0]
    return bare.partition(":")[0].rstrip(".")
