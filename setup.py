"""Builds the compiled part of waypointd; everything declarative is in setup.cfg.

The request path is compiled (ARCHITECTURE.md, "The compiled part"): `.pyx` files touch C, plain `.py` files are pure
policy that Cython compiles as they stand. Each module exists once; there is no uncompiled twin.

WAYPOINTD_INSTRUMENTS=tests/instruments compiles what the tests look into the compiled part with, in place too.
"""

import os
from pathlib import Path

import greenlet
from Cython.Build import cythonize
from setuptools import Extension, setup

# Pure policy that the request path calls for every request: ordinary Python, compiled as it is.
COMPILED_PYTHON = sorted(str(path) for path in Path("proxy/policy").rglob("*.py") if path.with_suffix(".pxd").exists())

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "nonecheck": False,
}


def extensions() -> list[Extension]:
    folders = ["proxy", *filter(None, [os.environ.get("WAYPOINTD_INSTRUMENTS")])]
    sources = sorted(str(path) for folder in folders for path in Path(folder).rglob("*.pyx")) + COMPILED_PYTHON
    headers = [os.path.dirname(greenlet.__file__)]
    return [
        Extension(
            os.path.splitext(source)[0].replace("/", "."),
            [source],
            include_dirs=headers,
            extra_compile_args=["-O2", "-Wall", "-Wno-unused-function"],
        )
        for source in sources
    ]


setup(ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES, nthreads=0))
