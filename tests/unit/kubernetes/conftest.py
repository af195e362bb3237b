"""One API server a test."""

from collections.abc import Iterator

import pytest

from tests.unit.kubernetes.api_rig import ApiServer, api_server


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with api_server() as server:
        yield server
