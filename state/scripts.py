"""The Lua of this package, ready to be sent: constants, `common.lua` and `cluster.lua` in front of each script, without
the functions that it does not use. A script makes all its functions anew at each call, which costs more than most do.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from state import constants

_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"--.*")
_CALL = re.compile(r"(\w+)\(")


@cache
def source(name: str) -> str:
    """Text of script `name` ("report", "sync", "offer", "forget")."""
    return _without_unused("\n".join((_constants(), alone("common"), alone("cluster"), alone(name))))


def alone(name: str) -> str:
    """Text of a script that needs nothing in front of it."""
    return (files("state.lua") / f"{name}.lua").read_text(encoding="utf-8")


def _constants() -> str:
    """On one line, so that the numbers of lines in a server's messages are nearly those of the files."""
    shared = {name: value for name, value in vars(constants).items() if name.isupper()}
    return f"local {', '.join(shared)} = {', '.join(map(str, shared.values()))}"


def _without_unused(text: str) -> str:
    """Every line keeps its number."""
    functions = {found[1]: found[0] for found in _FUNCTION.finditer(text)}
    used = _used(_FUNCTION.sub("", text), functions)
    return _FUNCTION.sub(lambda found: found[0] if found[1] in used else "\n" * found[0].count("\n"), text)


def _used(text: str, functions: Mapping[str, str]) -> set[str]:
    """Those of the functions that the text calls, and what these call."""
    used: set[str] = set()
    new = {text}
    while new:
        called = {name for each in new for name in _CALL.findall(_COMMENT.sub("", each))}
        found = called & functions.keys() - used
        used |= found
        new = {functions[each] for each in found}
    return used
