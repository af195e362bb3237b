"""Prints a list of requirements, one to a line: `build` (pyproject.toml), `run` or an extra (setup.cfg).

The lists stay where packaging tools look. Unlike `pip install -e .[test]` this compiles nothing, so that
scripts/prepare can compile in the checkout, in parallel, and only what has changed.
"""

import configparser
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements(name: str) -> list[str]:
    """The requirements called `name`. Raises KeyError if there is no such list."""
    if name == "build":
        return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"])
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    if name == "run":
        return config["options"]["install_requires"].strip().splitlines()
    return config["options.extras_require"][name].strip().splitlines()


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
