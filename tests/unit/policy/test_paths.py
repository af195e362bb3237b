"""The form in which paths are compared and forwarded (3.5 of the reference): compiled, interpreted, and by the rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.instruments.inspect_access import normalised
from tests.reference.paths import MODES, normal
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
REFUSED = (
    *("/%00", "/a%5cb", "/a%5C..%5Cb", "/%%361", "/%6%31", "/%%36%31"),
    *("/%c0%af", "/x/%C0%AE%c0%ae/", "/%c1%9c", "/%e0%80%af", "/%f0%80%80%af"),
)
OF_MODES = {  # BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES, NONE; None: it is refused
    "/x/../admin/y": ("/admin/y", "/admin/y", "/admin/y", "/x/../admin/y"),
    "//admin/x": ("//admin/x", "/admin/x", "/admin/x", "//admin/x"),
    "/x%2f..%2Fadmin": ("/x%2f..%2Fadmin", "/x%2f..%2Fadmin", "/admin", "/x%2f..%2Fadmin"),
    "/%2fadmin/x": ("/%2fadmin/x", "/%2fadmin/x", "/admin/x", "/%2fadmin/x"),
    "/%61dmin/x": ("/admin/x", "/admin/x", "/admin/x", "/%61dmin/x"),
    "/ADMIN": ("/ADMIN", "/ADMIN", "/ADMIN", "/ADMIN"),
    "/x\\..\\admin": ("/admin", "/admin", "/admin", "/x\\..\\admin"),
    "/x%5c..%5Cadmin": (None, None, "/admin", "/x%5c..%5Cadmin"),
    "/x//..//admin": ("/x//admin", "/x/admin", "/x/admin", "/x//..//admin"),
    "//?//": ("//?//", "/?//", "/?//", "//?//"),
    "/%00": (None, None, None, "/%00"),
    "/%252f": ("/%252f", "/%252f", "/%252f", "/%252f"),
}


@pytest.mark.parametrize(("path", "expected"), ROWS.values(), ids=ROWS)
def test_N_paths_are_brought_into_one_form(path: str, expected: str) -> None:
    assert normalised(path.encode()) == expected.encode()


@pytest.mark.parametrize("path", REFUSED)
def test_what_could_still_be_two_paths_is_refused(path: str) -> None:
    assert normalised(path.encode()) is None


@pytest.mark.parametrize("path", ["/%c3%a9", "/%c0", "/%c0x", "/%C0/%af", "/%e0%a0%80", "/%f0%90%80%80"])
def test_utf_8_that_says_what_it_can_only_say_so_is_none_of_ours(path: str) -> None:
    assert normalised(path.encode()) == path.encode()


@pytest.mark.parametrize(("path", "mode"), [(path, mode) for path in OF_MODES for mode in MODES])
def test_N_the_four_ways(path: str, mode: str) -> None:
    at = MODES.index(mode)
    expected = OF_MODES[path][at]
    assert normalised(path.encode(), at) == (None if expected is None else expected.encode())


@given(st.text("/.;%\\?2eE56cCf01aA8", max_size=14).map(lambda text: f"/{text}".encode()), st.sampled_from(MODES))
def test_compiled_interpreted_and_step_by_step_and_once_is_enough(path: bytes, mode: str) -> None:
    text, at = bytearray(path), MODES.index(mode)
    length = paths.normalise(text, len(text), at)
    once = normalised(path, at)
    assert once == (None if length < 0 else bytes(text[:length]))
    stepped = normal(path.decode(), mode)
    assert once == (None if stepped is None else stepped.encode())
    if once is not None and mode != "NONE":
        assert len(once) <= len(path)
        assert normalised(once, at) == once
        segments = once.partition(b"?")[0].split(b"/")
        assert not {b".", b".."} & {segment.partition(b";")[0] for segment in segments}
