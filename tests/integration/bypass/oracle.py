"""Whether what an endpoint has got is what its Service's access rule lets through, by the letter of the reference, and
by the loose reading of endpoints that take more for one path than they should."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from tests.integration.bypass.corpus import POLICIES
from tests.integration.http_rig import Head
from tests.reference import authorization
from tests.reference.asked import Asked
from tests.reference.paths import normal

OURS = "spiffe://cluster.local/ns/httpbin/sa/client-in-ambient"


def wrongs(service: str, head: Head, mode: str) -> Iterator[str]:
    """What is wrong with this head."""
    asked = _asked(head)
    policy = {"metadata": {"namespace": "httpbin"}, "spec": POLICIES[service]}
    if authorization.judged([policy], asked) != authorization.ALLOW:
        yield "it is not what the rule lets through"
    if asked.path.startswith("/") and normal(asked.path, mode) != asked.path:
        yield "its path is not in its form"
    loose = asked.of(loosely(asked.path))
    if mode == "DECODE_AND_MERGE_SLASHES" and authorization.judged([policy], loose) != authorization.ALLOW:
        yield f"some would take its path for {loose.path}"
    if head["host"].endswith(":"):
        yield "its Host has a colon that nobody has looked at"
    if "h2c" in head.get("upgrade", "").lower():
        yield "the endpoint may go on with HTTP/2"


def _asked(head: Head) -> Asked:
    method, target, _ = head.first.split(" ")
    fields = tuple((name, value.strip(" \t")) for name, value in head.fields)
    return Asked(method, target, head["host"], fields, OURS, port=8000, mode="NONE")


def loosely(path: str) -> str:
    """Parameters behind dots are cut off, everything is decoded, once, and what is meant to be slashes is. (What
    `/;/admin` or `/admin;x` is, Istio leaves to whoever writes the rule: E14.)"""
    bare = re.sub(r"(?<=/)(\.{1,2});[^/]*", r"\1", path.partition("?")[0])
    found: list[str] = []
    for segment in re.split(r"[/\\]+", unquote(bare, "latin-1")):
        if segment == "..":
            found = found[:-1]
        elif segment not in ("", "."):
            found.append(segment)
    return "/" + "/".join(found)
