"""Values that keep a client's requests at one endpoint (l7-policy.md F19; GEP-1619)."""

from dataclasses import replace

import pytest

from proxy.policy.sessions import Session, SessionRule, cookie_path, cookies, field, given, read, token_of

PLAIN = SessionRule(name=b"s")
BOUND = SessionRule(name=b"s", absolute_s=3600, idle_s=60)
NOW = 0x65000000
TOKEN = token_of(b"HTTPRoute a/b rule 0", "a/web:80", b"10.0.0.1:80")


def value(rule: SessionRule, session: Session) -> bytes:
    """What the client sends of it."""
    line = field(replace(rule, header=True), session, b"/", NOW)
    assert line.startswith(b"s: ") and line.endswith(b"\r\n")
    return line[3:-2]


def test_what_stands_for_an_endpoint_is_the_rules_own() -> None:
    assert token_of(b"HTTPRoute a/b rule 0", "a/web:80", b"10.0.0.1:80") == TOKEN and len(TOKEN) == 16
    others = [
        (b"HTTPRoute a/b rule 1", "a/web:80", b"10.0.0.1:80"),
        (b"HTTPRoute a/b rule 0", "a/v2:80", b"10.0.0.1:80"),
    ]
    assert TOKEN not in [token_of(*each) for each in others]
    assert b"10.0.0.1" not in TOKEN


@pytest.mark.parametrize("rule", [PLAIN, BOUND, replace(BOUND, idle_s=0), replace(BOUND, absolute_s=0)])
def test_what_is_given_is_read(rule: SessionRule) -> None:
    session = given(rule, None, TOKEN, NOW)
    assert session is not None
    found = read(rule, value(rule, session), NOW)
    assert found is not None and found.token == TOKEN
    assert given(rule, found, TOKEN, NOW) is None, "the client has it"
    moved = given(rule, found, TOKEN[::-1], NOW + 1)
    assert moved == Session(TOKEN[::-1], NOW + 1, NOW + 1), "another endpoint, another session"


@pytest.mark.parametrize(
    ("rule", "after", "lives"),
    [
        (PLAIN, 10**9, True),
        (replace(BOUND, idle_s=0), 3599, True),
        (replace(BOUND, idle_s=0), 3600, False),
        (replace(BOUND, absolute_s=0), 59, True),
        (replace(BOUND, absolute_s=0), 60, False),
        (BOUND, 59, True),
        (BOUND, 60, False),
    ],
)
def test_times(rule: SessionRule, after: int, lives: bool) -> None:
    assert (read(rule, value(rule, Session(TOKEN, NOW, NOW)), NOW + after) is not None) == lives


def test_who_goes_on_using_it_keeps_it_until_it_is_over() -> None:
    had, now = Session(TOKEN, NOW, NOW), NOW
    while (found := read(BOUND, value(BOUND, had), now)) is not None:
        had, now = given(BOUND, found, TOKEN, now) or had, now + 50
    assert (had.began, now) == (NOW, NOW + 3600)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"x",
            TOKEN,
            TOKEN + b".1",
            TOKEN + b".1.2.3",
            TOKEN + b".+1.65000000",
            TOKEN + b"..",
            TOKEN + b".-1.-1",
        ),
        *(TOKEN + b".65000000.0x65000000", TOKEN + b".99999999999.65000000", TOKEN + b".66000000.66000000"),
    ],
)
def test_what_is_no_session(text: bytes) -> None:
    assert read(BOUND, text, NOW) is None


def test_cookies_of_a_name() -> None:
    line = b'a=1; s=2;s="3"; S=4; ss=5; s ; s=; x=s=6; s=7"'
    assert list(cookies(line, b"s")) == [b"2", b"3", b"", b'7"']


@pytest.mark.parametrize(
    ("rule", "session", "line"),
    [
        (PLAIN, Session(TOKEN, 0, 0), b"set-cookie: s=%s; Path=/a/b; HttpOnly; SameSite=Lax\r\n" % TOKEN),
        (
            replace(BOUND, lifetime_s=3600),
            Session(TOKEN, NOW - 600, NOW),
            b"set-cookie: s=%s.%x.%x; Path=/a/b; Max-Age=3000; HttpOnly; SameSite=Lax\r\n" % (TOKEN, NOW - 600, NOW),
        ),
        (replace(PLAIN, name=b"x-s", header=True), Session(TOKEN, 0, 0), b"x-s: %s\r\n" % TOKEN),
    ],
)
def test_lines(rule: SessionRule, session: Session, line: bytes) -> None:
    assert field(replace(rule, paths=(b"/", b"/a/b")), session, b"/a/b/c?d", NOW) == line


@pytest.mark.parametrize(
    ("path", "found"),
    [(b"/", b"/"), (b"/a", b"/a"), (b"/a/", b"/a"), (b"/ab", b"/"), (b"/a/b/c", b"/a/b"), (b"/a/b?/a/b/c", b"/a/b")],
)
def test_paths(path: bytes, found: bytes) -> None:
    assert cookie_path((b"/a", b"/a/b", b"/z"), path) == found
