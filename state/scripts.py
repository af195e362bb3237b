"""The Lua of this package, ready to be sent: constants, `common.lua` and `cluster.lua` in front of each script."""

from functools import cache
from importlib.resources import files

from state import constants


@cache
def source(name: str) -> str:
    """Text of script `name` ("report", "sync", "offer", "forget")."""
    return "\n".join((_constants(), alone("common"), alone("cluster"), alone(name)))


def alone(name: str) -> str:
    """Text of a script that needs nothing in front of it."""
    return (files("state.lua") / f"{name}.lua").read_text(encoding="utf-8")


def _constants() -> str:
    """On one line, so that the numbers of lines in a server's messages are nearly those of the files."""
    shared = {name: value for name, value in vars(constants).items() if name.isupper()}
    return f"local {', '.join(shared)} = {', '.join(map(str, shared.values()))}"
