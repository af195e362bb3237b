"""The server that the fleet is simulated on (tests/fleet/simulator/server.py) answers as others do."""

from typing import Any

import pytest

from tests.fleet.simulator.run import Simulation, patched
from tests.fleet.simulator.world import Broken
from tests.state.state_rig import FakeTime, fake_rig


def calls_of(seed: int, only: tuple[str, ...]) -> list[tuple[int, Any, Any]]:
    """(when, what was asked, the answer) of each script that a seed runs."""
    simulation = Simulation(seed, None, only)
    calls: list[tuple[int, Any, Any]] = []
    run = simulation.server.script

    def script(source: str, keys: Any, arguments: Any) -> Any:
        answer = run(source, keys, arguments)
        calls.append((simulation.server.now_ms(), (source, keys, arguments), answer))
        return answer

    simulation.server.script = script  # type: ignore[method-assign]
    with patched(simulation.world):
        try:
            simulation.run()
        except Broken as broken:
            pytest.fail(str(broken))
        finally:
            simulation.end()
    return calls


@pytest.mark.parametrize("only", [("hand_ejects", "hand_unejects"), ("pod_replaced_unseen", "removed_in_one", "burst")])
def test_its_server_answers_as_others(fake_time: FakeTime, only: tuple[str, ...]) -> None:
    client: Any = fake_rig(fake_time).client
    for now_ms, (source, keys, arguments), answer in calls_of(11, only):
        fake_time.now_ms = now_ms
        assert client.eval(source, len(keys), *keys, *arguments) == answer
