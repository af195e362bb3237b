"""The table of a replica's way out."""

from proxy.arbiter.departure import ONE_SIGNAL_S, Departure, Stage


def test_Z2_it_serves_on_for_the_delay() -> None:
    departure = Departure()
    assert not departure.due(99)
    departure.told(100, 5)
    assert (departure.stage, departure.drain_at) == (Stage.LEAVING, 105)
    assert not departure.due(104.9)
    assert departure.due(105)
    assert (departure.stage, departure.drain_at) == (Stage.DRAINING, None)
    assert not departure.due(106), "once"


def test_without_a_delay_it_drains_at_once() -> None:
    departure = Departure()
    departure.told(100, 0)
    assert departure.due(100)


def test_a_second_signal_ends_it_in_any_stage() -> None:
    for delay in (0, 5):
        departure = Departure()
        departure.told(100, delay)
        departure.due(100)
        before = departure.stage
        departure.told(100 + ONE_SIGNAL_S / 2, delay)
        assert departure.stage is before, "close together they are one"
        departure.told(101, delay)
        assert departure.stage is Stage.ENDED
        assert not departure.due(200)
