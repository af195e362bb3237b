"""The Lua of this package, ready to be sent: each script with `common.lua` in front of it."""

from functools import cache
from importlib.resources import files


@cache
def source(name: str) -> str:
    """Text of script `name` ("report", "sync", "offer", "forget")."""
    folder = files("state.lua")
    return "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("common", name))
