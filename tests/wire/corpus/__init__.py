"""The messages in this directory: text files that show each on its own lines, with the result it should have."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One message. `result` is ok, or the name of the refusal; `detail` is the fault, or what the head should hold."""

    name: str
    result: str
    detail: str
    data: bytes


def cases(kind: str) -> list[Case]:
    """All messages of `<kind>.txt`."""
    text = (Path(__file__).parent / f"{kind}.txt").read_text("ascii")
    return [_case(part) for part in ("\n" + text.removesuffix("\n")).split("\n== ")[1:]]


def _case(part: str) -> Case:
    title, *lines = part.split("\n")
    name, expected = title.split(" -> ")
    result, _, detail = expected.partition(" " if expected.startswith("ok") else ": ")
    return Case(name, result, detail, b"".join(_unescape(line) + b"\r\n" for line in lines))


def _unescape(line: str) -> bytes:
    return line.encode("ascii").decode("unicode_escape").encode("latin-1")
