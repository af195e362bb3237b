"""When a cluster is read completely though nothing new is seen."""

from proxy.fleet.due import AFTERWARDS_MS, RETELL_MS, Due
from state.constants import ENDLESS_MS
from state.outlier.store import ClusterView, Glance
from tests.unit.fleet.fleet_fakes import NAME, board, ejection, known
from tests.unit.fleet.test_settle import FIRST, Setting

NOTHING = ClusterView(1, "e", (), {}, {})


def glance(left_ms: int) -> Glance:
    return Glance(1, "e", frozenset({"a"}), {"a": left_ms})


def test_an_ejection_that_is_known_is_read_after_its_end() -> None:
    due = Due()
    assert due.at(NAME) == 0
    due.read(NAME, ClusterView(1, "e", (ejection("a", left_ms=700), ejection("b", left_ms=300)), {}, {}), 1000)
    assert due.at(NAME) == 1300 + AFTERWARDS_MS


def test_an_ejection_heard_of_is_read_after_its_end() -> None:
    due = Due()
    due.read(NAME, NOTHING, 0)
    for at_ms in (5000, 9000):
        due.ends(NAME, at_ms)
    assert due.at(NAME) == 5000 + AFTERWARDS_MS


def test_the_rule_is_told_every_hour() -> None:
    due = Due()
    due.read(NAME, NOTHING, 0)
    assert due.at(NAME) == RETELL_MS


def test_what_is_gone_is_forgotten() -> None:
    due = Due()
    due.read(NAME, NOTHING, 0)
    due.retain({})
    assert due.at(NAME) == 0


def test_a_hand_has_moved_the_end() -> None:
    due, own = Due(), {"a": 30_000}
    assert not due.moved(NAME, glance(29_900), 0, own), "a round trip, no hand"
    assert not due.moved(NAME, glance(28_900), 1000, own)
    assert due.moved(NAME, glance(90_000), 2000, own)
    assert not due.moved(NAME, glance(89_000), 3000, own), "once"
    assert due.moved(NAME, glance(5000), 3000, own)


def test_before_the_first_look_the_own_end_counts() -> None:
    assert Due().moved(NAME, glance(90_000), 0, {"a": 30_000})
    assert not Due().moved(NAME, glance(90_000), 0, {}), "then it is not out here, which is another difference"


def test_what_has_no_end_has_not_moved() -> None:
    due = Due()
    for at_ms in (0, 1000, 2000):
        assert not due.moved(NAME, glance(ENDLESS_MS), at_ms, {"a": ENDLESS_MS + 5})
    assert due.moved(NAME, glance(1000), 3000, {"a": ENDLESS_MS + 5})


def test_settling_reads_what_a_hand_has_moved_and_what_is_over() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST), version=2)
        setting.look()
        assert (setting.store.looks, setting.store.syncs) == (1, 2)
        setting.look()
        assert (setting.store.looks, setting.store.syncs) == (2, 2)
        setting.store.lefts = {FIRST: 90_000}
        setting.look()
        assert (setting.store.looks, setting.store.syncs) == (3, 3)
        setting.view(version=2)
        setting.look(30_000 + AFTERWARDS_MS)
        assert setting.store.syncs == 4


def test_settling_reads_soon_after_an_end_it_was_told_of() -> None:
    with board() as made:
        setting = Setting(made)
        setting.ejections.confirm(setting.cluster, setting.endpoint, known(), setting.now, setting.now)
        setting.settling.ends(setting.cluster, setting.now + 100)
        setting.look(99 + AFTERWARDS_MS)
        assert setting.store.syncs == 1
        setting.look(1)
        assert setting.store.syncs == 2
