"""The form of a snapshot: another version is refused, and a key that is not of the form is found before it runs."""

import re
import sys
import typing
from pathlib import Path

import msgpack
import pytest

from proxy.ipc import routing, snapshot
from proxy.ipc.snapshot import (
    VERSION,
    Body,
    ClusterForm,
    EndpointForm,
    OtherVersion,
    RateLimitForm,
    body,
    pack,
    unpack,
    unpack_all,
)

ROOT = Path(__file__).resolve().parents[3]


def made(number: int) -> Body:
    return body(number, True, [], ["gone"], [])


def test_what_is_packed_is_what_is_unpacked() -> None:
    assert unpack(pack(made(7))) == made(7)
    assert made(7)["version"] == VERSION


@pytest.mark.parametrize("other", [{**made(7), "version": VERSION + 1}, {"number": 7, "full": True}, [7], None])
def test_another_version_is_told_apart(other: object) -> None:
    with pytest.raises(OtherVersion, match=r"another version of waypointd .*restart it"):
        unpack(msgpack.packb(other))


def test_bodies_behind_each_other_are_read_as_far_as_they_were_written() -> None:
    whole = pack(made(1)) + pack(made(2))
    assert [each["number"] for each in unpack_all(whole)] == [1, 2]
    assert [each["number"] for each in unpack_all(whole[:-1])] == [1]
    assert [each["number"] for each in unpack_all(b"")] == []
    with pytest.raises(OtherVersion):
        list(unpack_all(pack(made(1)) + msgpack.packb({"number": 2})))


FORMS = [form for module in (snapshot, routing) for form in vars(module).values() if typing.is_typeddict(form)]
FORMS = [form for index, form in enumerate(FORMS) if form not in FORMS[:index]]
SNIPPET = """
from {module} import {name}
def right(form: {name}) -> object:
    return form["{key}"]
def wrong(form: {name}) -> object:
    return form["{key}x"]
"""


def test_mypy_sees_a_misspelt_key_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mypy = pytest.importorskip("mypy.api", reason="make check installs mypy")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    paths = []
    for form in FORMS:
        paths.append(tmp_path / f"reader_of_{form.__name__}.py")
        paths[-1].write_text(
            SNIPPET.format(module=form.__module__, name=form.__name__, key=next(iter(form.__annotations__)))
        )
    told, errors, _ = mypy.run(
        [f"--cache-dir={tmp_path / 'cache'}", f"--python-executable={sys.executable}", *map(str, paths)]
    )
    assert not errors
    found = re.findall(r'reader_of_(\w+)\.py:6: error: TypedDict "\w+" has no key "\w+x"', told)
    assert sorted(found) == sorted(form.__name__ for form in FORMS), told
    assert told.count("error:") == len(FORMS), told


@pytest.mark.parametrize(
    ("source", "variable", "form"),
    [
        ("endpoints/cluster.pyx", "body", ClusterForm),
        ("endpoints/cluster.pyx", "entry", EndpointForm),
        ("endpoints/rate_limits.pyx", "form", RateLimitForm),
        ("relay.pyx", "body", ClusterForm),
        ("relay.pyx", "entry", EndpointForm),
    ],
)
def test_compiled_readers_which_mypy_does_not_read_know_only_keys_of_the_form(
    source: str, variable: str, form: type
) -> None:
    used = set(re.findall(rf'\b{variable}\["(\w+)"\]', (ROOT / "proxy/relay" / source).read_text()))
    assert used
    assert used <= form.__annotations__.keys()
