"""The shapes that Python knows are the structures that C has."""

import dataclasses
import re

from proxy.policy import shapes
from tests.unit.policy.interpreted import POLICY


def structures() -> dict[str, list[str]]:
    """Structure -> names of its fields, as facts.pxd has them."""
    text = re.sub(r"#.*", "", (POLICY / "facts.pxd").read_text())
    found = {}
    for name, body in re.findall(r"^cdef struct (\w+):\n((?:    .*\n|\s*\n)+)", text, re.MULTILINE):
        declared = [line.strip() for line in body.splitlines() if line.strip()]
        found[name] = [re.split(r"[\s*]+", part.strip())[-1] for line in declared for part in line.split(",")]
    return found


def test_field_for_field() -> None:
    python = {
        name: [field.name for field in dataclasses.fields(kind)]
        for name, kind in vars(shapes).items()
        if dataclasses.is_dataclass(kind)
    }
    assert structures() == python
