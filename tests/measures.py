"""How long files and functions are, what is annotated and explained: `python -m tests.measures [DIRECTORY]`.

Functions of .py files are found by `ast`, those of .pyx files by their indentation; a function's length is its lines
from `def` to the last one, docstring and blank lines in it included. Annotated is a function whose every parameter (but
self and cls) and whose result has a type; in Cython a C type is one. Explained are modules, public classes and public
functions with a docstring. Faces of packages that define nothing are not counted, nor are .pxd files, which repeat what
the .pyx say. tests/unit/test_measures.py holds the bounds.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("proxy", "state")
SUFFIXES = (".py", ".pyx")
ENTRIES = (".py", ".pyx", ".pxd")

_HEADER = re.compile(r"^(?P<indent> *)(?P<kind>def|cdef|cpdef)\s+(?!class\b)(?P<before>[^(=]*?)(?P<name>\w+)\s*\(")
_CLASS = re.compile(r"^ *(?:cdef +)?class +(?P<name>\w+)")
_MODIFIERS = {"inline", "public", "api", "readonly"}
_NO_RESULT = {"__cinit__", "__init__", "__dealloc__"}


class Definition(NamedTuple):
    """A function or a class."""

    name: str
    line: int
    lines: int
    annotated: bool
    explained: bool
    is_function: bool = True

    @property
    def public(self) -> bool:
        """Is it for others to use?"""
        return not self.name.startswith("_")


class File(NamedTuple):
    """A file, and what is defined in it."""

    path: Path
    lines: int
    explained: bool
    definitions: list[Definition]

    @property
    def functions(self) -> list[Definition]:
        """What is called."""
        return [each for each in self.definitions if each.is_function]


class Measures(NamedTuple):
    """One row of the table: what is measured of some files."""

    files: list[File]

    @property
    def file_lines(self) -> list[int]:
        """Of each file, in order."""
        return sorted(file.lines for file in self.files)

    @property
    def function_lines(self) -> list[int]:
        """Of each function, in order."""
        return sorted(function.lines for file in self.files for function in file.functions)

    @property
    def annotated(self) -> float:
        """Percent of the functions."""
        return percent(function.annotated for file in self.files for function in file.functions)

    @property
    def explained(self) -> float:
        """Percent of the modules, public classes and public functions that have a docstring."""
        modules = [file.explained for file in self.files]
        return percent([*modules, *(each.explained for file in self.files for each in file.definitions if each.public)])


def percent(values: Iterable[bool]) -> float:
    """How many of them are true; of none, all."""
    listed = list(values)
    return 100.0 * sum(listed) / len(listed) if listed else 100.0


def quantile(values: Sequence[int], part: float) -> int:
    """The smallest of the sorted values that `part` of them do not exceed."""
    return values[max(0, -int(-len(values) * part // 1) - 1)] if values else 0


# -- files ------------------------------------------------------------------------------------------------------------


def sources(directory: Path) -> list[Path]:
    """All files of ours below a directory."""
    return sorted(path for path in directory.rglob("*.py*") if path.suffix in SUFFIXES)


def read(path: Path) -> File:
    """Measures one file."""
    text = path.read_text()
    if path.suffix == ".py":
        tree = ast.parse(text)
        return File(path, len(text.splitlines()), ast.get_docstring(tree) is not None, list(of_python(tree)))
    code = re.sub(r"\A(?:#.*\n)*", "", text)
    return File(path, len(text.splitlines()), code.startswith('"""'), list(of_cython(text)))


def measure(directories: Iterable[Path]) -> Measures:
    """Measures all files below some directories."""
    files = [read(path) for directory in directories for path in sources(directory)]
    return Measures([file for file in files if file.definitions or file.path.name != "__init__.py"])


# -- Python -----------------------------------------------------------------------------------------------------------


def of_python(tree: ast.Module) -> Iterator[Definition]:
    """What a module defines, methods and inner functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            is_function = not isinstance(node, ast.ClassDef)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            explained = ast.get_docstring(node) is not None
            yield Definition(node.name, node.lineno, lines, _annotated(node), explained, is_function)


def _annotated(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    if isinstance(node, ast.ClassDef):
        return True
    given = node.args
    ordered = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    named = [each for each in ordered if each is not None and each.arg not in ("self", "cls")]
    return node.returns is not None and all(each.annotation is not None for each in named)


# -- Cython -----------------------------------------------------------------------------------------------------------


def of_cython(text: str) -> Iterator[Definition]:
    """What a .pyx file defines; declarations without a body are none."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = _HEADER.match(line)
        if found:
            header, body = _header(lines, number)
            if header.endswith(":"):
                end = _end(lines, body, len(found["indent"]))
                annotated = _typed(header, found["kind"], found["before"], found["name"])
                yield Definition(found["name"], number + 1, end - number, annotated, _explained(lines, body))
        elif found := _CLASS.match(line):
            yield Definition(found["name"], number + 1, 1, True, _explained(lines, number + 1), False)


def _header(lines: list[str], number: int) -> tuple[str, int]:
    """A function's head in one line, without comments, and the number of the line after it."""
    head = ""
    for at in range(number, len(lines)):
        head += " " + lines[at].split("#")[0].strip()
        if head.count("(") == head.count(")"):
            return head.strip(), at + 1
    return head.strip(), len(lines)


def _end(lines: list[str], body: int, indent: int) -> int:
    """The number of the last line of what stands further in than `indent`, counted from 1."""
    end = body
    for at in range(body, len(lines)):
        line = lines[at]
        if line.strip():
            if len(line) - len(line.lstrip()) <= indent:
                break
            end = at + 1
    return end


def _explained(lines: list[str], body: int) -> bool:
    return body < len(lines) and lines[body].strip().startswith('"""')


def _typed(header: str, kind: str, before: str, name: str) -> bool:
    """Has each parameter a type, and the result?"""
    within, _, after = header.partition("(")[2].rpartition(")")
    has_result = "->" in after if kind == "def" else bool(set(before.split()) - _MODIFIERS)
    parameters = [each.partition("=")[0].strip() for each in _split(within)]
    named = [each for each in parameters if each not in ("self", "cls", "*", "/", "")]
    return (has_result or name in _NO_RESULT) and all(":" in each or len(each.split()) > 1 for each in named)


def _split(parameters: str) -> list[str]:
    """At the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in parameters:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


# -- the table --------------------------------------------------------------------------------------------------------


def row(name: str, measures: Measures) -> str:
    """One row of the table."""
    files, functions = measures.file_lines, measures.function_lines
    return (
        f"| {name} | {len(files)} | {sum(files):,} | {quantile(files, 0.5)} / {quantile(files, 0.9)} / {max(files)} "
        f"| {len(functions):,} | {quantile(functions, 0.5)} / {quantile(functions, 0.9)} / {quantile(functions, 0.99)}"
        f" / {max(functions, default=0)} | {measures.annotated:.1f} % | {measures.explained:.0f} % |"
    )


def table(root: Path) -> str:
    """The product, each of its rooms, and the tests."""
    rooms = [path for name in PRODUCT for path in sorted((root / name).iterdir()) if measure([path]).files]
    lines = [
        "| code | files | lines | median / p90 / max | functions | median / p90 / p99 / max | annotated | explained |",
        "|---|---|---|---|---|---|---|---|",
        row("**product**", measure(root / name for name in PRODUCT)),
        *(row(str(path.relative_to(root)), measure([path])) for path in rooms),
        row("**tests**", measure([root / "tests"])),
    ]
    return "\n".join(lines)


def entries(root: Path) -> list[str]:
    """What one sees at the top of `proxy/`: modules and packages."""
    found = (root / "proxy").iterdir()
    names = {path.stem for path in found if path.suffix in ENTRIES or (path / "__init__.py").exists()}
    return sorted(names - {"__init__"})


def main(root: Path) -> None:
    """Prints all of it, and what is longest."""
    product = measure(root / name for name in PRODUCT)
    print(table(root))
    print(f"\nAt the top of proxy/: {len(entries(root))} entries: {', '.join(entries(root))}")
    print("\nThe longest files:")
    for file in sorted(product.files, key=lambda file: -file.lines)[:8]:
        print(f"  {file.lines}  {file.path.relative_to(root)}")
    print("\nThe longest functions:")
    functions = [(function, file) for file in product.files for function in file.functions]
    for function, file in sorted(functions, key=lambda pair: -pair[0].lines)[:12]:
        print(f"  {function.lines}  {file.path.relative_to(root)}:{function.line} {function.name}")
    print("\nNot annotated:")
    for function, file in functions:
        if not function.annotated:
            print(f"  {file.path.relative_to(root)}:{function.line} {function.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
