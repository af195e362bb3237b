"""Fixtures of the tests that run the whole program; how inputs are generated, in all tests."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from state.server.embedded import Embedded

# The same inputs every time, so that a run fails for what was changed; WAYPOINT_FUZZ=deep: others each time.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=os.environ.get("WAYPOINT_FUZZ") != "deep",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # it measures the machine
)
hypothesis.settings.load_profile("repeatable")


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
