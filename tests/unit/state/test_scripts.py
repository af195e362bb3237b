"""The Lua as text: each script says how it is called, and takes from Python what both must agree upon."""

import re
from importlib.resources import files

import pytest

from state import constants
from state.scripts import alone, source

SCRIPTS = sorted(path.name.removesuffix(".lua") for path in files("state.lua").iterdir() if path.name.endswith(".lua"))
CALLED = [name for name in SCRIPTS if name not in ("common", "cluster")]


@pytest.mark.parametrize("name", CALLED)
def test_a_script_opens_with_its_signature(name: str) -> None:
    head = alone(name).split("\n\n", 1)[0].splitlines()
    assert head[0].startswith(f"-- {name}.lua: ")
    assert all(line.startswith("-- ") for line in head)
    assert [line.split()[1] for line in head if line.split()[1] in ("KEYS", "ARGV", "reply")] == [
        "KEYS",
        "ARGV",
        "reply",
    ]


def test_constants_come_first_and_are_written_nowhere_else() -> None:
    first, rest = source("report").split("\n", 1)
    names, values = first.removeprefix("local ").split(" = ")
    shared = {name: value for name, value in vars(constants).items() if name.isupper()}
    assert dict(zip(names.split(", "), map(int, values.split(", ")), strict=True)) == shared
    for script in SCRIPTS:
        assert not set(re.findall(r"^local ([A-Z_]+) =", alone(script), re.MULTILINE)) & shared.keys()
    assert [name for name in shared if not any(re.search(rf"\b{name}\b", alone(script)) for script in SCRIPTS)] == []
    assert "ENDLESS_MS" in rest
