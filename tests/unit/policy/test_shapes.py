"""The shapes and numbers that Python knows are the structures and enumerations that C has."""

import dataclasses
import re

from proxy.policy import shapes
from tests.unit.policy.interpreted import POLICY

TEXT = re.sub(r"#.*", "", (POLICY / "facts.pxd").read_text())


def declarations(kind: str) -> dict[str, list[str]]:
    """Name of each such declaration in facts.pxd -> its lines."""
    found = re.findall(rf"^cdef {kind} (\w+):[ ]*\n((?:    .*\n|\s*\n)+)", TEXT, re.MULTILINE)
    return {name: [line.strip() for line in body.splitlines() if line.strip()] for name, body in found}


def test_field_for_field() -> None:
    c = {
        name: [re.split(r"[\s*]+", part.strip())[-1].partition("[")[0] for line in lines for part in line.split(",")]
        for name, lines in declarations("struct").items()
    }
    python = {
        name: [field.name for field in dataclasses.fields(kind)]
        for name, kind in vars(shapes).items()
        if dataclasses.is_dataclass(kind)
    }
    assert c == python


def test_number_for_number() -> None:
    c: dict[str, int] = {}
    for lines in declarations("enum").values():
        number = -1
        for name, given in re.findall(r"(\w+)(?: = (-?\d+))?", " ".join(lines)):
            number = c[name] = int(given or number + 1)
    assert c == {name: value for name, value in vars(shapes).items() if isinstance(value, int)}
