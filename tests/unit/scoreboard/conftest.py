import pytest

from proxy.scoreboard.scoreboard import Scoreboard


@pytest.fixture
def board() -> Scoreboard:
    return Scoreboard.create()
