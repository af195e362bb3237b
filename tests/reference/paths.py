"""Paths as meshConfig.pathNormalization has them, step by step, with everything that is slow and plain.

Written from RFC 3986 6.2.2 and from what Envoy's manual says of normalize_path, merge_slashes and
path_with_escaped_slashes_action: slashes are unescaped first, then the path is normalised, then slashes are merged.
"""

import re
from urllib.parse import unquote_to_bytes

MODES = ("BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES", "NONE")
"""In the order of the product's numbers."""
_UNRESERVED = re.compile(rb"[A-Za-z0-9._~-]")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")


def normal(target: str, mode: str = "BASE") -> str | None:
    """The path and query that are forwarded; None: it is refused, since it could be taken for two paths."""
    path, mark, query = target.partition("?")
    if mode == "NONE":
        return target
    if mode == "DECODE_AND_MERGE_SLASHES":
        path = re.sub("(?i)%2f", "/", path)
        path = re.sub("(?i)%5c", "\\\\", path)
    decoded = _decoded(path.encode())
    if decoded is None:
        return None
    path = _without_dots(decoded.decode().replace("\\", "/"))
    if mode != "BASE":
        path = re.sub("/+", "/", path)
    return path + mark + query


def _decoded(path: bytes) -> bytes | None:
    """Escapes of what needs none are what they stand for."""
    octets = [unquote_to_bytes(each)[0] for each in _ESCAPE.findall(path)]
    if 0 in octets or 0x5C in octets or _overlong(path):
        return None
    pieces = re.split(rb"(%[0-9A-Fa-f]{2})", path)  # every second one is an escape
    plain = [unquote_to_bytes(each) if at % 2 else each for at, each in enumerate(pieces)]
    found = [
        short if at % 2 and _UNRESERVED.fullmatch(short) else each
        for at, (each, short) in enumerate(zip(pieces, plain, strict=True))
    ]
    whole = b"".join(found)
    kept = sum(at % 2 and each.startswith(b"%") for at, each in enumerate(found))
    return whole if len(_ESCAPE.findall(whole)) == kept else None


def _overlong(path: bytes) -> bool:
    """UTF-8 that says with more octets what fewer would."""
    return re.search(rb"(?i)%c[01]%[89ab][0-9a-f]|%e0%[89][0-9a-f]|%f0%8[0-9a-f]", path) is not None


def _without_dots(path: str) -> str:
    found: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        name = segment.partition(";")[0]
        if name == "..":
            found = found[:-1]
        elif name != ".":
            found.append(segment)
    if segments[-1].partition(";")[0] in (".", ".."):
        found.append("")
    return "/" + "/".join(found)
