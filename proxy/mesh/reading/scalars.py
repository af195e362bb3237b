"""Plain values out of YAML scalars.

YAML 1.1, as Kubernetes' own reader (go-yaml) takes it: `yes` is true, but dates and `1:30` stay text.
"""

from __future__ import annotations

import re

TAG = "tag:yaml.org,2002:"

_EXPONENT = re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+")
_TRUE = frozenset({"yes", "true", "on"})


def converted(tag: str, text: str, plain: bool) -> object:
    """The value of a scalar. Raises ValueError (bad number) or LookupError (unknown tag)."""
    kind = tag.removeprefix(TAG)
    if kind == "str":
        # JSON's exponent form is text to YAML 1.1, and a number to everybody who writes it.
        return float(text) if plain and _EXPONENT.fullmatch(text) else text
    if kind in ("timestamp", "merge", "value"):
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    if kind == "int":
        return text if ":" in text else _integer(text.replace("_", ""))
    if kind == "float":
        return text if ":" in text else _real(text.replace("_", "").lower())
    raise LookupError(tag)


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    if len(digits) > 64:
        raise ValueError("too many digits")
    # A leading zero means octal, as in YAML 1.1 and go-yaml.
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
    return int(text, 8 if octal else 0)


def _real(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))
