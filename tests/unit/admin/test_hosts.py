"""Which Hosts an admin page answers to."""

import pytest

from proxy.admin.hosts import anyone, only_ours

LOOPBACK = ("localhost", "LOCALHOST.:15000", "app.localhost", "127.0.0.1", "127.0.0.1:1", "127.3.2.1", "[::1]:15000")
STRANGE = ("evil.example", "evil.example:15000", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::1", "::1:x")


@pytest.mark.parametrize("listening", ["127.0.0.1:15000", "[::1]:15000", "localhost:15000"])
def test_the_names_of_loopback_are_expected_everywhere(listening: str) -> None:
    assert all(only_ours(listening)([host]) for host in LOOPBACK)


@pytest.mark.parametrize("listening", ["127.0.0.1:15000", "[::1]:15000", "localhost:15000"])
def test_names_of_others_are_not(listening: str) -> None:
    assert not any(only_ours(listening)([host]) for host in STRANGE if host != "[::1")


def test_the_address_it_listens_on_is_expected_and_no_other() -> None:
    expects = only_ours("10.0.0.7:15000")
    assert expects(["10.0.0.7"])
    assert expects(["10.0.0.7:80"])
    assert not expects(["10.0.0.8"])
    assert only_ours("[2001:db8::7]:15000")(["[2001:DB8::7]:15000"])
    assert only_ours("waypoint.internal:15000")(["Waypoint.internal:15000"])


def test_two_hosts_are_not_expected_and_none_is_no_browser() -> None:
    expects = only_ours("127.0.0.1:15000")
    assert not expects(["127.0.0.1", "evil.example"])
    assert not expects(["127.0.0.1", "127.0.0.1"])
    assert expects([])
    assert anyone(["evil.example"])
