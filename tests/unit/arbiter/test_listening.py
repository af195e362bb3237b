"""Why a socket cannot be opened, in words that help."""

import errno
import socket

import pytest

from proxy.arbiter.listening import explain, listen


def test_N15_the_name_of_an_interface_is_no_address() -> None:
    with pytest.raises(OSError) as raised:
        listen("no-such-interface.invalid:0")
    assert explain(raised.value).startswith("no address is known by this name: give --bind an address of this machine")


def test_what_is_taken_or_not_allowed_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(OSError) as raised:
            listen(f"127.0.0.1:{other.getsockname()[1]}")
        assert "another process has this port" in explain(raised.value)
    assert "CAP_NET_BIND_SERVICE" in explain(OSError(errno.EACCES, "Permission denied"))
    assert explain(OSError(errno.EMFILE, "x")) == "Too many open files"
