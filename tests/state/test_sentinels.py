"""Which Sentinel is believed: not the first, the one that knows best."""

from typing import Any, cast

import pytest
import redis
from redis.sentinel import MasterNotFoundError

from state.server.sentinels import Sentinels


class Answer:
    """A Sentinel that says this, or fails."""

    def __init__(self, port: int, epoch: int, dead: bool = False, down: bool = False, promoted: int = 0) -> None:
        self.port, self.epoch, self.dead, self.down, self.promoted, self.asked = port, epoch, dead, down, promoted, 0

    def sentinel_masters(self) -> dict[str, dict[str, Any]]:
        self.asked += 1
        if self.dead:
            raise redis.TimeoutError("no answer")
        flags = {"is_master": True, "is_sdown": self.down, "is_odown": False, "num-other-sentinels": 2}
        return {"fleet": {"ip": "127.0.0.1", "port": self.port, "config-epoch": self.epoch, **flags}}

    def sentinel_get_master_addr_by_name(self, name: str) -> tuple[str, int]:
        assert name == "fleet"
        return "127.0.0.1", self.promoted or self.port


def asking(*answers: Answer, patience: float = 1.0) -> Sentinels:
    made = Sentinels((), patience, {})
    made.sentinels = cast("list[redis.Redis]", list(answers))
    return made


def test_the_newest_configuration_counts() -> None:
    sentinels = asking(Answer(1, 4), Answer(2, 5), Answer(1, 4))
    assert sentinels.discover_master("fleet") == ("127.0.0.1", 2)
    with pytest.raises(MasterNotFoundError, match="no Sentinel knows a primary 'other'"):
        sentinels.discover_master("other")


def test_a_primary_that_is_down_is_none_but_the_promoted_one_is() -> None:
    with pytest.raises(MasterNotFoundError):
        asking(Answer(1, 4, down=True)).discover_master("fleet")
    sentinels = asking(Answer(1, 4), Answer(1, 5, down=True, promoted=2))
    assert sentinels.discover_master("fleet") == ("127.0.0.1", 2)


def test_who_does_not_answer_is_asked_last_the_next_time() -> None:
    dead, alive = Answer(1, 9, dead=True), Answer(2, 5)
    sentinels = asking(dead, alive, patience=10)
    for _ in range(2):
        assert sentinels.discover_master("fleet") == ("127.0.0.1", 2)
    assert cast("list[Answer]", sentinels.sentinels) == [alive, dead]


def test_patience_has_an_end() -> None:
    answers = [Answer(1, 1) for _ in range(3)]
    assert asking(*answers, patience=-1).discover_master("fleet") == ("127.0.0.1", 1)
    assert [each.asked for each in answers] == [1, 0, 0]
