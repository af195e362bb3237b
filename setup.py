"""Builds the compiled part of waypointd; everything declarative is in setup.cfg.

`.pyx` files touch C; a `.py` with a `.pxd` beside it is pure policy, which Cython compiles as it stands. Each module
exists once; there is no uncompiled twin. CFLAGS of the environment come last, so they win: `CFLAGS=-Wno-error` builds
with a compiler whose warnings nobody has seen yet, `make sanitize` adds the sanitizers.

WAYPOINTD_INSTRUMENTS=tests/instruments compiles what the tests look into the compiled part with, in place too.
"""

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from zlib import crc32

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "nonecheck": False,
}

WARNINGS = [
    "-Wall",
    "-Werror",
    "-Wno-unused-function",  # Cython writes helpers that a module may turn out not to call
]
# Signed numbers wrap, as in CPython; with CFLAGS set, nobody else would say so. Calls of libraries go without stubs, of
# which each module would have its own: less code to go over, and all is bound at the start anyway.
CODE = ["-O2", "-fwrapv", "-fno-plt"]
# A parser of hostile bytes: what the compiler and the loader can do against a mistake in it, they do.
HARDENING = ["-fstack-protector-strong", "-U_FORTIFY_SOURCE"]
LINKING = ["-Wl,-z,relro", "-Wl,-z,now"]


def sources() -> list[str]:
    """What is compiled. Raises SystemExit if it is not there: a package without it installs, and does not run."""
    folders = ["proxy", *filter(None, [os.environ.get("WAYPOINTD_INSTRUMENTS")])]
    cython = [path for folder in folders for path in Path(folder).rglob("*.pyx")]
    if not cython:
        raise SystemExit(f"setup.py: no .pyx file below {os.getcwd()}/proxy: build from a checkout or a whole sdist")
    policy = [path for path in Path("proxy/policy").rglob("*.py") if path.with_suffix(".pxd").exists()]
    return sorted(str(path) for path in cython + policy)


def fortify() -> str:
    """The strongest _FORTIFY_SOURCE of this compiler: gcc before 12 knows 2, and warns of more."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    probe = [*compiler, "-O2", "-Werror", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-xc", "-fsyntax-only", "-"]
    knows = subprocess.run(probe, input=b"#include <string.h>\n", capture_output=True, check=False).returncode == 0
    return f"-D_FORTIFY_SOURCE={3 if knows else 2}"


def layout() -> list[tuple[str, str | None]]:
    """What tells a scoreboard of these rows from one that another version has laid out."""
    rows = Path("proxy/scoreboard/layout.pxd").read_bytes()
    return [("SCOREBOARD_LAYOUT", f"0x{crc32(rows):08x}u")]


class Build(build_ext):
    """Writes the C when it is time to compile, not for every command: an sdist needs none."""

    def finalize_options(self) -> None:
        import greenlet

        headers = ["-isystem", os.path.dirname(greenlet.__file__)]  # a header of others: its warnings are not ours
        flags = [*WARNINGS, *headers, *CODE, *HARDENING, fortify(), *shlex.split(os.environ.get("CFLAGS", ""))]
        extensions = [
            Extension(
                os.path.splitext(source)[0].replace("/", "."),
                [source],
                define_macros=layout() if source.endswith("scoreboard/memory.pyx") else [],
                extra_compile_args=flags,
                extra_link_args=LINKING,
                depends=["setup.py"],  # other flags: compile again
            )
            for source in sources()
        ]
        made = cythonize(extensions, compiler_directives=DIRECTIVES, force=self.force, nthreads=os.cpu_count() or 1)
        self.distribution.ext_modules[:] = made
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()


# The names alone, so that every command knows that there is something to compile.
setup(ext_modules=[Extension("proxy", sources())], cmdclass={"build_ext": Build})
