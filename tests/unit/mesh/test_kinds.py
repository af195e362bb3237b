"""Kinds know each other by what is public."""

from __future__ import annotations

import ast
from pathlib import Path

from proxy.mesh import kinds

FILES = sorted(Path(kinds.__file__).parent.glob("*.py"))


def test_no_kind_imports_what_is_private_to_another() -> None:
    private = [
        f"{path.name}: {alias.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert len(FILES) > 10
    assert private == []
