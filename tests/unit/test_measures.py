"""The house stays small: the bounds of CONTRIBUTING.md, as tests/measures.py counts, and that it counts right."""

import ast
from pathlib import Path

import pytest

from tests.measures import PRODUCT, ROOT, Definition, entries, measure, of_cython, of_python, quantile, table

LONGEST_FILE = 400
MEDIAN_FILE = 120
P99_FUNCTION = 30
LONGEST_FUNCTION = 50
MOST_ENTRIES = 22

ALL = (*PRODUCT, "tests", "scripts")
"""Where no file may be longer."""
SOURCES = (".py", ".pyx", ".pxd", ".pyi", ".lua", ".h")

PRODUCT_MEASURES = measure(ROOT / name for name in PRODUCT)

PYTHON = '''
class Shelf:
    """Where books stand."""

    def put(self, book: str, *, where: int = 0) -> None:
        """Puts one there."""

        self.books[where] = book

    def take(self, where) -> str:
        async def inner(*books: str, **more: str): ...
        return self.books[where]
'''

CYTHON = '''# distutils: libraries = shelf
"""A shelf."""

cdef int depth = measured(3)

cdef extern from "shelf.h":
    int shelf_depth(int width)

cdef class Shelf(Furniture):
    """Where books stand."""

    def __cinit__(self, int width):
        self.width = width

    cdef Py_ssize_t put_at(
        self, char* book, (int, int) where,   # a comment (
        bint quickly=False,
    ) except? -100:
        """Puts one there."""
        if quickly:

            return 1
        return 0

    cdef inline untold(self):
        return None

    def take(self, where: int) -> bytes:
        return b""

    cdef int declared(self, int width) noexcept


cdef void (*callback)(int) noexcept
'''


def of(name: str, found: list[Definition]) -> Definition:
    return next(each for each in found if each.name == name)


def test_functions_of_python_are_counted() -> None:
    found = list(of_python(ast.parse(PYTHON)))
    assert sorted(each.name for each in found) == ["Shelf", "inner", "put", "take"]
    assert of("put", found) == Definition("put", 5, 4, annotated=True, explained=True)
    assert of("take", found) == Definition("take", 10, 3, annotated=False, explained=False)
    assert not of("inner", found).annotated
    assert not of("Shelf", found).is_function


def test_functions_of_cython_are_counted() -> None:
    found = list(of_cython(CYTHON))
    assert [each.name for each in found] == ["Shelf", "__cinit__", "put_at", "untold", "take"]
    assert of("Shelf", found).explained
    assert of("__cinit__", found).annotated
    assert of("put_at", found) == Definition("put_at", 15, 9, annotated=True, explained=True)
    assert of("untold", found) == Definition("untold", 25, 2, annotated=False, explained=False)
    assert of("take", found).annotated


def test_a_docstring_after_directives_is_the_modules(tmp_path: Path) -> None:
    (tmp_path / "shelf.pyx").write_text(CYTHON)
    assert measure([tmp_path]).files[0].explained


def test_quantiles_are_values_that_are_there() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 2
    assert quantile([1, 2, 3, 4], 0.51) == 3
    assert quantile(list(range(1, 101)), 0.99) == 99
    assert quantile([7], 0.99) == 7


def test_the_table_has_a_row_for_each_room() -> None:
    rows = table(ROOT)
    assert "| **product** |" in rows
    assert "| proxy/wire |" in rows
    assert "| **tests** |" in rows


@pytest.mark.parametrize("directory", ALL)
def test_no_file_is_longer_than_one_can_read(directory: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / directory).rglob("*")
        if path.suffix in SOURCES
    }
    assert lengths
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_half_of_the_files_are_short() -> None:
    assert quantile(PRODUCT_MEASURES.file_lines, 0.5) <= MEDIAN_FILE


def test_functions_are_short() -> None:
    lengths = PRODUCT_MEASURES.function_lines
    assert quantile(lengths, 0.99) <= P99_FUNCTION
    assert lengths[-1] <= LONGEST_FUNCTION


def test_every_function_says_its_types() -> None:
    bare = [
        f"{file.path.relative_to(ROOT)}:{function.line} {function.name}"
        for file in PRODUCT_MEASURES.files
        for function in file.functions
        if not function.annotated
    ]
    assert bare == []


def test_the_top_of_the_house_is_readable_at_a_glance() -> None:
    assert len(entries(ROOT)) <= MOST_ENTRIES
