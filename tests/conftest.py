"""Fixtures of the tests that run the whole program."""

from collections.abc import Iterator

import pytest

from state.server.embedded import Embedded


@pytest.fixture
def valkey() -> Iterator[Embedded]:
    """A real server of this test's own, on a free port."""
    server = Embedded.start(0)
    yield server
    server.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The soak runs only when it is asked for: `-m soak`."""
    if "soak" in config.option.markexpr:
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soaks)
    items[:] = [item for item in items if item not in soaks]
