"""A request as `waypointctl explain route` describes one: METHOD, URL, header lines, the client's identity."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from proxy.controller.trial import Trial

_PORTS = {"http": 80, "https": 443}
_UNRESERVED = re.compile(r"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")
_SLASHES = re.compile(r"%(2[fF]|5[cC])")
_AMBIGUOUS = re.compile(
    r"%00|%5c|%[0-9a-f]?%(3[0-9]|[46][1-6])|%c[01]%[89ab][0-9a-f]|%e0%[89][0-9a-f]|%f0%8[0-9a-f]", re.IGNORECASE
)
_is_identity = re.compile(r"spiffe://[^/]+/ns/[^/]+/sa/[^/]+").fullmatch
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def read(asked: Mapping[str, str], normalization: str = "base") -> Trial:
    """The request of a query: `method`, `url`, `headers` (JSON, a list of [name, value]), `from` and `from_ip`. Raises
    ValueError with what is wrong, for people. `normalization`: the setting's."""
    method, identity = asked.get("method", "GET"), asked.get("from", "")
    try:
        url = urlsplit(asked.get("url", ""))
        port = url.port
    except ValueError as fault:
        raise ValueError(f"{asked.get('url', '')} is no URL: {fault}") from None
    if url.scheme not in _PORTS or not url.hostname:
        raise ValueError(f"give a URL such as http://cart.shop:80/items?page=2, not {asked.get('url', '')!r}")
    if not _is_token(method):
        raise ValueError(f"{method!r} is no method")
    if identity and not _is_identity(identity):
        raise ValueError(f"give the client as spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/NAME, not {identity!r}")
    headers = _headers(asked.get("headers", "[]"))
    host = next((value for name, value in headers if name == "host"), url.netloc.rpartition("@")[2])
    return Trial(
        method=method,
        scheme="http",
        authority=host,
        path=normal(url.path or "/", normalization),
        query=url.query,
        headers=tuple(each for each in headers if each[0] != "host"),
        identity=identity,
        port=port or _PORTS[url.scheme],
        asked=_asked(url.hostname, port, _PORTS[url.scheme]),
        address=_address(asked.get("from_ip", "")),
    )


def _address(given: str) -> str:
    try:
        return str(ipaddress.ip_address(given)) if given else ""
    except ValueError:
        raise ValueError(f"give the client's address as 10.0.0.1 or fd00::1, not {given!r}") from None


def _asked(host: str, port: int | None, default: int) -> tuple[str, ...]:
    """Without a port, plain HTTP listeners go by the name alone; hosts of the Gateway by that and wildcards anyway."""
    name = f"[{host}]" if ":" in host else host.lower()
    labels = name.split(".")
    wildcards = (f"*.{'.'.join(labels[index:])}" for index in range(1, len(labels)))
    return (f"{name}:{port or default}", *([name] if port is None else ()), f"{name}:*", *wildcards, "*")


def _headers(given: str) -> list[tuple[str, str]]:
    found = json.loads(given)
    if not isinstance(found, list) or not all(isinstance(each, list) and len(each) == 2 for each in found):
        raise ValueError("headers must be a JSON list of [name, value]")
    for name, _ in found:
        if not _is_token(str(name)):
            raise ValueError(f"{name!r} is not the name of a header")
    return [(str(name).lower(), str(value).strip()) for name, value in found]


def normal(path: str, mode: str = "base") -> str:
    """As it is compared and forwarded (Istio's pathNormalization; RFC 3986 6.2.2). Raises ValueError where it cannot be
    told what is meant. Parameters behind dots are as nothing (`..;x`)."""
    if mode == "none":
        return path
    if mode == "decode_and_merge_slashes":
        path = _SLASHES.sub("/", path)
    if _AMBIGUOUS.search(path):
        raise ValueError(f"the path {path!r} can be understood in two ways: it would get 400")
    plain = _UNRESERVED.sub(lambda escape: unquote(escape[0]), path).replace("\\", "/")
    found: list[str] = []
    *above, last = plain.split("/")[1:]
    for segment in (*above, last):
        if (dots := segment.partition(";")[0]) == "..":
            found = found[:-1]
        elif dots != ".":
            found.append(segment)
    if last.partition(";")[0] in (".", ".."):
        found.append("")
    normal = "/" + "/".join(found)
    return normal if mode == "base" else re.sub("/+", "/", normal)
