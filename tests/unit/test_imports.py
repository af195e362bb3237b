"""What is heavy is read only where it is used: what each process has read when it begins, and what it has not."""

import subprocess
import sys

import pytest

from tests.rig import ROOT

HEAVY = ("cryptography.x509", "dns", "jwt", "h2", "statsd", "proxy.mesh", "proxy.kubernetes", "proxy.controller")
"""Some MiB each. The first four are read when there are certificates, names, tokens, or an istiod to ask."""
PROCESSES = {
    "proxy.cli": (),
    "proxy.arbiter.arbiter": (),
    "proxy.worker.worker": (),
    "proxy.controller.controller": ("statsd", "proxy.mesh", "proxy.controller"),
}
"""By their main modules, what of HEAVY they may read."""


def printed(code: str) -> list[str]:
    """Words that it prints, in a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout.split()


@pytest.mark.parametrize("module", PROCESSES)
def test_a_process_reads_what_it_uses(module: str) -> None:
    code = f"import sys, {module}; print(*(each for each in {HEAVY} if each in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(done.stdout.split()) == set(PROCESSES[module])


def test_the_arbiter_prepares_what_its_children_are_made_of_and_no_more() -> None:
    code = (
        "import sys; from proxy.arbiter.forking import prepare; prepare(); read = set(sys.modules)\n"
        "import proxy.worker.worker, proxy.controller.controller; print(len(set(sys.modules) - read))\n"
        f"print(*(each for each in {HEAVY} if each in read))"
    )
    missing, *heavy = printed(code)
    assert (missing, set(heavy)) == ("0", set(PROCESSES["proxy.controller.controller"]))
