"""What tokens are written in, read so that no two readers could take it differently: base64url and JSON."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")


def octets(text: bytes) -> bytes:
    """What base64url (RFC 4648 5) without padding stands for. Raises ValueError for anything else."""
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("no base64url")
    found = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(found).rstrip(b"=") != text:  # bits that say nothing, and are not 0
        raise ValueError("no base64url as one writes it")
    return found


def mapping(text: bytes) -> dict[str, Any]:
    """A JSON object, no name of which is there twice. Raises ValueError for anything else."""
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_nothing)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _nothing(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
