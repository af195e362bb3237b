"""Fixtures of the tests that run the whole program."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(1, str(Path(__file__).parent))

from state.embedded import Embedded


@pytest.fixture
def valkey() -> Iterator[Embedded]:
    """A real server of this test's own, on a free port."""
    server = Embedded.start(0)
    yield server
    server.stop()
