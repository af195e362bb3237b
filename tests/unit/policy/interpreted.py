"""The decisions as Python runs them: the same sources that are compiled, loaded by path, so that no compiler is needed
to see what they do."""

import importlib.util
from pathlib import Path
from types import ModuleType

POLICY = Path(__file__).resolve().parents[3] / "proxy" / "policy"


def interpreted(name: str) -> ModuleType:
    """A module of proxy/policy, `balance.round_robin` say."""
    path = POLICY.joinpath(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"interpreted.{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
