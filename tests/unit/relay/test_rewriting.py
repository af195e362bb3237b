"""Another path for a request (F11, F12, P1 to P10 of the reference), and where a client is sent instead (F7 to F10)."""

import pytest

from proxy.ipc.routing import PathRewriteForm, RedirectForm
from proxy.relay.routing.rewriting import PathChange, Redirect

ROWS = {
    "P1": ("prefix", "/foo", "/xyz", "/foo/bar", "/xyz/bar"),
    "P2": ("prefix", "/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
    "P3": ("prefix", "/foo/", "/xyz", "/foo/bar", "/xyz/bar"),
    "P3-slash": ("prefix", "/foo/", "/xyz/", "/foo/bar", "/xyz/bar"),
    "P4": ("prefix", "/foo", "/xyz", "/foo", "/xyz"),
    "P5": ("prefix", "/foo", "/xyz", "/foo/", "/xyz/"),
    "P6": ("prefix", "/foo", "", "/foo/bar", "/bar"),
    "P6-slash": ("prefix", "/foo", "/", "/foo/bar", "/bar"),
    "P7": ("prefix", "/foo", "", "/foo/", "/"),
    "P7-bare": ("prefix", "/foo", "/", "/foo", "/"),
    "P8": ("prefix", "/foo", "/xyz", "/foo?x=1", "/xyz?x=1"),
    "P9": ("prefix", "/foo", "/xyz", "/foo//bar", "/xyz//bar"),
    "P10": ("prefix", "/strip", "/", "/strip?x=1", "/?x=1"),
    "root": ("prefix", "/", "/xyz", "/a?b", "/xyz/a?b"),
    "F12": ("full", "", "/new", "/old/path?x=/y", "/new?x=/y"),
    "F12-no-query": ("full", "", "/new", "/old", "/new"),
    "V12-string": ("string", "/v1", "/v2", "/v1example?x", "/v2example?x"),
    "V12-string-cut": ("string", "/v1/", "/", "/v1/x", "/x"),
    "V12-string-rootless": ("string", "/v1", "", "/v1x", "/x"),
    "V12-regex": ("like", "/s/([^/]+)(/.*)", "/t/\\1\\2", "/s/one/x?y=/s/a/b", "/t/one/x?y=/s/a/b"),
    "V12-regex-all": ("like", "a", "b\\0", "/a/a?a", "/ba/ba?a"),
    "V12-regex-no-such-group": ("like", "x", "y\\7", "/x", "/y"),
    "V12-regex-none": ("like", "q+", "y", "/x", "/x"),
}


@pytest.mark.parametrize(("op", "matched", "text", "path", "expected"), ROWS.values(), ids=ROWS)
def test_paths(op: str, matched: str, text: str, path: str, expected: str) -> None:
    change = PathChange(PathRewriteForm(op=op, text=text, matched=matched))
    assert change.of(path.encode()) == expected.encode()


@pytest.mark.parametrize(("op", "text", "matched"), [("full", "/a b", ""), ("full", "/a\r\n", ""), ("like", "/", "(a")])
def test_what_no_path_can_have(op: str, text: str, matched: str) -> None:
    with pytest.raises(ValueError, match=r"URL|regular expression"):
        PathChange(PathRewriteForm(op=op, text=text, matched=matched))


def redirect(
    scheme: str = "",
    host: str = "",
    port: int = 0,
    path: PathRewriteForm | None = None,
    own_port: int = 8080,
    own_scheme: str = "http",
    status: int = 302,
) -> RedirectForm:
    return RedirectForm(
        status=status, scheme=scheme, host=host, port=port, path=path, own_port=own_port, own_scheme=own_scheme
    )


PREFIX = PathRewriteForm(op="prefix", text="/xyz", matched="/rfoo")
LOCATIONS = {
    "F8-own-port": (redirect(), "http://shop:8080/rfoo/bar?x=1"),
    "F8-port": (redirect(port=9443), "http://shop:9443/rfoo/bar?x=1"),
    "F8-port-and-scheme": (redirect("https", port=8443), "https://shop:8443/rfoo/bar?x=1"),
    "F8-scheme": (redirect("https"), "https://shop/rfoo/bar?x=1"),
    "F8-443-with-https": (redirect("https", port=443), "https://shop/rfoo/bar?x=1"),
    "F8-80-with-http": (redirect("http", port=80), "http://shop/rfoo/bar?x=1"),
    "F8-443-with-http": (redirect("http", port=443), "http://shop:443/rfoo/bar?x=1"),
    "F8-80-with-https": (redirect("https", port=80), "https://shop:80/rfoo/bar?x=1"),
    "F8-own-port-80": (redirect(own_port=80), "http://shop/rfoo/bar?x=1"),
    "F8-of-https": (redirect(own_port=8443, own_scheme="https"), "https://shop:8443/rfoo/bar?x=1"),
    "F8-of-https-on-443": (redirect(own_port=443, own_scheme="https"), "https://shop/rfoo/bar?x=1"),
    "F8-of-https-with-http": (redirect(scheme="http", own_port=8443, own_scheme="https"), "http://shop/rfoo/bar?x=1"),
    "F9-host": (redirect(host="a.org", own_port=80), "http://a.org/rfoo/bar?x=1"),
    "F10-prefix": (redirect(path=PREFIX, own_port=80), "http://shop/xyz/bar?x=1"),
    "F10-full": (
        redirect(path=PathRewriteForm(op="full", text="/new", matched=""), own_port=80),
        "http://shop/new?x=1",
    ),
}


@pytest.mark.parametrize(("form", "expected"), LOCATIONS.values(), ids=LOCATIONS)
def test_locations(form: RedirectForm, expected: str) -> None:
    assert Redirect(form).location(b"shop:1234", b"/rfoo/bar?x=1") == expected.encode()


def test_F9_the_host_is_without_its_port_whatever_it_is() -> None:
    made = Redirect(redirect(own_port=80))
    assert [made.location(host, b"/") for host in (b"a", b"a:", b"[::1]:80", b"[::1]")] == [
        b"http://a/",
        b"http://a/",
        b"http://[::1]/",
        b"http://[::1]/",
    ]
