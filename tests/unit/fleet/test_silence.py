"""While the cap leaves no room: what is not reported, and when that ends."""

from proxy.fleet import silence
from proxy.scoreboard.scoreboard import Scoreboard
from tests.unit.fleet.fleet_fakes import FakeLoop, a_cluster, board, desk_of, known


def test_it_lasts_as_long_as_the_cap_is_full_here_but_the_fleets_word_goes_first_for_a_second() -> None:
    with board() as made:
        made.shared_state = True
        cluster, loop = a_cluster(made), FakeLoop()
        desk, _ = desk_of(made, cluster, loop)
        assert not silence.is_kept(desk, cluster)
        silence.begin(desk, cluster)
        loop.set_ms = loop.now_ms() + silence.FLEETS_WORD_MS - 200
        assert silence.is_kept(desk, cluster)
        first, *_ = cluster.endpoints.values()
        desk.ejections.confirm(cluster, first, known(), loop.now_ms(), loop.now_ms())
        loop.pass_time(2 * silence.FLEETS_WORD_MS)
        assert silence.is_kept(desk, cluster)
        desk.ejections.lift(cluster, first, "lifted", loop.now_ms())
        silence.look_again(desk, cluster)
        assert not silence.is_kept(desk, cluster)


def failures(made: Scoreboard, slot: int) -> int:
    return made.outlier.state(slot).failures


def test_counting_begins_anew_at_both_ends() -> None:
    with board() as made:
        made.shared_state = True
        cluster = a_cluster(made)
        desk, _ = desk_of(made, cluster)
        slot = cluster.slots[1]
        for change in (lambda: silence.begin(desk, cluster), lambda: silence.is_kept(desk, cluster)):
            made.outlier.set_state(slot, made.outlier.state(slot)._replace(failures=2, dirty=True))
            change()
            assert failures(made, slot) == 0
            silence.look_again(desk, cluster)


def test_what_others_have_begun_to_count_is_known_when_it_ends() -> None:
    """Seed 9223 of the simulator: another's silence had ended before, and a success here was not told."""
    with board() as made:
        made.shared_state = True
        cluster = a_cluster(made)
        desk, _ = desk_of(made, cluster)
        endpoint = next(iter(cluster.endpoints.values()))
        silence.begin(desk, cluster)
        made.outlier.set_state(endpoint.slot, made.outlier.state(endpoint.slot)._replace(failures=2))
        desk.ejections.learn(cluster, endpoint, 0, dirty=True, asked_ms=0, now_ms=desk.loop.now_ms())
        silence.look_again(desk, cluster)
        assert not silence.is_kept(desk, cluster)
        state = made.outlier.state(endpoint.slot)
        assert (state.failures, state.dirty) == (0, True)


def test_a_replica_that_decides_by_itself_is_not_silent() -> None:
    with board() as made:
        cluster = a_cluster(made)
        desk, _ = desk_of(made, cluster)
        silence.begin(desk, cluster)
        assert not silence.is_kept(desk, cluster)
