"""The form in which paths are compared and forwarded (3.5 of the reference): compiled, interpreted, and by the rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.instruments.inspect_access import normalised
from tests.unit.policy.interpreted import interpreted

paths = interpreted("paths")

ROWS = {
    "N1": ("/x/../admin/y", "/admin/y"),
    "N2": ("//admin/x", "//admin/x"),
    "N3": ("/x%2f..%2fadmin", "/x%2f..%2fadmin"),
    "N3-first": ("/%2fadmin/x", "/%2fadmin/x"),
    "N4": ("/%61dmin/x", "/admin/x"),
    "N5": ("/ADMIN", "/ADMIN"),
    "N6": ("/x\\..\\admin", "/admin"),
    "N7": ("/x//..//admin", "/x//admin"),
    "N4-tilde": ("/%7e%2D%5F%30", "/~-_0"),
    "dots": ("/./a/./b/.", "/a/b/"),
    "dots-escaped": ("/a/%2e%2E/b/.%2e", "/"),
    "dots-above": ("/../../a/..", "/"),
    "dots-in-names": ("/.a/..b/c.../...", "/.a/..b/c.../..."),
    "dots-with-parameters": ("/a/..;x=1/b/.;y/c/...;z", "/b/c/...;z"),
    "query": ("/a/../b?x=/../y%61", "/b?x=/../y%61"),
    "query-only": ("/?/../", "/?/../"),
    "percent": ("/100%/%zz/%4", "/100%/%zz/%4"),
    "reserved": ("/a%2Fb%3Fc%20%25", "/a%2Fb%3Fc%20%25"),
    "server": ("*", "*"),
    "none": ("", ""),
}
REFUSED = ("/%00", "/a%5cb", "/a%5C..%5Cb", "/%%361", "/%6%31", "/%%36%31")


@pytest.mark.parametrize(("path", "expected"), ROWS.values(), ids=ROWS)
def test_N_paths_are_brought_into_one_form(path: str, expected: str) -> None:
    assert normalised(path.encode()) == expected.encode()


@pytest.mark.parametrize("path", REFUSED)
def test_what_could_still_be_two_paths_is_refused(path: str) -> None:
    assert normalised(path.encode()) is None


@given(st.text("/.;%\\?2eE56cC1a", max_size=14).map(lambda text: f"/{text}".encode()))
def test_compiled_as_interpreted_and_once_is_enough(path: bytes) -> None:
    text = bytearray(path)
    length = paths.normalise(text, len(text))
    once = normalised(path)
    assert once == (None if length < 0 else bytes(text[:length]))
    if once is not None:
        assert len(once) <= len(path)
        assert normalised(once) == once
        segments = once.partition(b"?")[0].split(b"/")
        assert not {b".", b".."} & {segment.partition(b";")[0] for segment in segments}
