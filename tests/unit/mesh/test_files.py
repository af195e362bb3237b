"""Files and directories: what is read, what is a fault, and when something has changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from proxy.mesh.sources.files import FileSource

HOUR_NS = 3600 * 10**9


def later() -> int:
    """A clock an hour ahead: every file there is counts as old."""
    return time.time_ns() + HOUR_NS


def texts(source: FileSource) -> dict[str, str]:
    documents, faults = source.read()
    assert faults == ()
    return {os.path.basename(document.path): document.text for document in documents}


def told(source: FileSource) -> list[str]:
    return [str(fault) for fault in source.read()[1]]


def test_a_directory_means_its_yaml_and_json_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", ".hidden.yaml", "notes.txt", "d.yaml~", "e.YAML"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.yaml").write_text("x")
    assert list(texts(FileSource([str(tmp_path)]))) == ["a.yml", "b.yaml", "c.json"]


def test_a_named_file_may_be_called_anything(tmp_path: Path) -> None:
    file = tmp_path / "mesh.conf"
    file.write_text("kind: x")
    assert texts(FileSource([str(file)])) == {"mesh.conf": "kind: x"}


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a")
    documents, faults = FileSource([str(tmp_path), str(file), f"{tmp_path}/./a.yaml"]).read()
    assert (len(documents), faults) == (1, ())


def test_what_is_missing_is_a_fault_at_the_start_only(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.yaml", tmp_path / "folder"
    source = FileSource([str(file), str(folder)])
    assert told(source) == [f"{file}: no such file or directory", f"{folder}: no such file or directory"]
    assert not source.changed()
    assert source.read() == ((), ())
    file.write_text("a")
    assert source.changed()
    assert texts(source) == {"a.yaml": "a"}
    file.unlink()
    assert source.changed()
    assert source.read() == ((), ())


def test_a_dangling_symlink_is_an_absent_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone")
    (tmp_path / "b.yaml").write_text("b")
    assert texts(FileSource([str(tmp_path)])) == {"b.yaml": "b"}


def test_what_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """F43, N15: UTF-16 is said to be that."""
    (tmp_path / "dir.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    (tmp_path / "wide.yaml").write_bytes("a: 1\n".encode("utf-16"))
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "good.yaml").write_text("good")
    source = FileSource([str(tmp_path)])
    assert told(source) == [
        f"{tmp_path}/dir.yaml: is a directory; name it with --manifests to read the files in it",
        f"{tmp_path}/latin.yaml: is not UTF-8 (line 2)",
        f"{tmp_path}/loop.yaml: cannot be read: Too many levels of symbolic links",
        f"{tmp_path}/pipe.yaml: is not a regular file",
        f"{tmp_path}/wide.yaml: is UTF-16, as PowerShell's > writes it: save it as UTF-8",
    ]
    assert [document.text for document in source.read()[0]] == ["good"]
    assert not source.changed()


def test_an_unreadable_file_is_a_fault_that_goes_away(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    file = tmp_path / "a.yaml"
    file.write_text("a")
    file.chmod(0)
    source = FileSource([str(tmp_path)], later)
    assert told(source) == [f"{file}: cannot be read: Permission denied"]
    file.chmod(0o600)
    assert source.changed()
    assert texts(source) == {"a.yaml": "a"}


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert texts(FileSource([str(tmp_path)])) == {"a.yaml": "a: 1"}


def test_a_name_that_is_not_unicode_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_bytes(b"\xff")
    source = FileSource([str(tmp_path)])
    assert told(source) == [f"{tmp_path}/?.yaml: is not UTF-8 (line 1)"]
    assert not source.changed()


@pytest.mark.parametrize("clock", [time.time_ns, later])
def test_every_kind_of_change_is_seen_and_nothing_else(tmp_path: Path, clock: object) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one")
    source = FileSource([str(tmp_path)], time.time_ns if clock is time.time_ns else later)
    source.read()

    def seen() -> bool:
        found = source.changed()
        source.read()
        return found and not source.changed()

    assert not source.changed()
    file.write_text("three")
    assert seen()
    (tmp_path / "b.yaml").write_text("b")
    assert seen()
    (tmp_path / "b.yaml").rename(tmp_path / "c.yaml")
    assert seen()
    (tmp_path / "c.yaml").unlink()
    assert seen()
    os.utime(file, (1, 1))
    assert not source.changed()
    (tmp_path / "new").write_text("three")
    (tmp_path / "new").rename(file)
    assert not source.changed()
    (tmp_path / "new").write_text("other")
    (tmp_path / "new").rename(file)
    assert seen()


def test_a_rewrite_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one")
    source = FileSource([str(file)])
    source.read()
    status = file.stat()
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.changed()


def test_an_idle_poll_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("one")
    source = FileSource([str(tmp_path)], later)
    source.read()
    monkeypatch.setattr(os, "open", None)
    assert not source.changed()


def test_when_a_file_changes_the_others_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).write_text("one")
    source = FileSource([str(tmp_path)], later)
    source.read()
    opened: list[str] = []
    really_open = os.open

    def noted(path: str, flags: int) -> int:
        opened.append(os.path.basename(path))
        return really_open(path, flags)

    monkeypatch.setattr(os, "open", noted)
    (tmp_path / "b.yaml").write_text("two")
    assert source.changed()
    assert texts(source) == {"a.yaml": "one", "b.yaml": "two", "c.yaml": "one"}
    assert set(opened) == {"b.yaml"}


def test_what_was_written_a_moment_ago_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one")
    source = FileSource([str(file)])
    source.read()
    status = file.stat()
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert texts(source) == {"a.yaml": "two"}


def test_a_config_map_swap_is_seen(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "a.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    source = FileSource([str(tmp_path)], later)
    assert texts(source) == {"a.yaml": "1"}
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert source.changed()
    assert texts(source) == {"a.yaml": "2"}


def test_a_file_just_emptied_is_not_believed_for_a_moment(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one")
    now = time.time_ns()
    source = FileSource([str(tmp_path)], lambda: now)
    source.read()
    file.write_text("")
    assert source.changed()
    assert told(source) == [f"{file}: is being written; it is read again shortly"]
    assert not source.changed()
    now += 10 * 10**9
    assert source.changed()
    assert texts(source) == {"a.yaml": ""}


def test_a_directory_that_goes_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_text("a")
    source = FileSource([str(folder)], later)
    assert texts(source) == {"a.yaml": "a"}
    folder.rename(tmp_path / "away")
    assert source.changed()
    assert source.read() == ((), ())
    (tmp_path / "away").rename(folder)
    assert source.changed()
    assert texts(source) == {"a.yaml": "a"}


def test_a_pattern_is_matched_at_every_reading(tmp_path: Path) -> None:
    """N11."""
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    source = FileSource([f"{tmp_path}/*.yaml"])
    assert texts(source) == {"a.yaml": "a"}
    (tmp_path / "c.yaml").write_text("c")
    assert source.changed()
    assert texts(source) == {"a.yaml": "a", "c.yaml": "c"}
    assert told(FileSource([f"{tmp_path}/*.json"])) == [f"{tmp_path}/*.json: matches no file"]


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "[a].yaml").write_text("itself")
    (tmp_path / "a.yaml").write_text("a")
    assert texts(FileSource([f"{tmp_path}/[a].yaml"])) == {"[a].yaml": "itself"}


def test_a_pipe_is_read_only_where_one_reading_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert told(FileSource([str(tmp_path)], once=True)) == [f"{tmp_path}/pipe.yaml: is not a regular file"]
    assert told(FileSource([f"{tmp_path}/pipe.yaml"])) == [f"{tmp_path}/pipe.yaml: is not a regular file"]


def test_a_directory_of_which_nothing_is_read_is_noted_while_that_is_so(tmp_path: Path) -> None:
    source = FileSource([str(tmp_path)])
    source.read()
    (note,) = source.notes
    assert note.startswith(f"{tmp_path}: no manifest is read from it") and note.endswith("(it is empty)")
    (tmp_path / "a.yaml").write_text("a")
    assert source.changed()
    source.read()
    assert source.notes == ()
