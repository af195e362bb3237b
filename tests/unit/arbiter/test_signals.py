"""Which signals are handled, and what they are called."""

import signal
import subprocess
import sys

from proxy.arbiter import arbiter
from proxy.arbiter.signals import DEADLY, HARMLESS, INTERNAL, OF_FAULTS, OF_WRITING, ignore_until_handled, name

EVERY = set(signal.valid_signals())


def test_N2_every_signal_but_kill_is_known() -> None:
    assert EVERY - {signal.SIGKILL} == DEADLY | HARMLESS | OF_FAULTS | OF_WRITING
    assert set(range(1, 65)) == EVERY | INTERNAL
    assert DEADLY < arbiter.HANDLED
    assert {signal.SIGUSR1, signal.SIGALRM, signal.SIGQUIT, signal.SIGABRT, signal.SIGRTMIN, signal.SIGRTMAX} < DEADLY


def test_N2_a_child_ignores_what_would_end_it_until_it_handles_it() -> None:
    endless = subprocess.Popen(
        [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"],
        stdout=subprocess.PIPE,
        preexec_fn=ignore_until_handled,  # noqa: PLW1509  as the arbiter, this has one thread
    )
    with endless:
        assert endless.stdout is not None
        endless.stdout.readline()
        for number in DEADLY - {signal.SIGTERM}:  # faults are faulthandler's here
            endless.send_signal(number)
        endless.send_signal(signal.SIGTERM)
    assert endless.returncode == -signal.SIGTERM


QUEUE = """
import os, select, signal
from proxy.arbiter.signals import DEADLY, SignalQueue
queue = SignalQueue(DEADLY)
for number in sorted(DEADLY):
    os.kill(os.getpid(), number)
select.select([queue], [], [])
assert queue.take() == sorted(DEADLY)
assert queue.take() == []
"""


def test_N2_what_is_queued_does_nothing_else_and_comes_as_its_number() -> None:
    assert subprocess.run([sys.executable, "-c", QUEUE], check=False).returncode == 0


INTERNALS = """
import os, signal, threading
from proxy.arbiter.signals import INTERNAL, ignore_internal, ignore_until_handled
def see():
    for number in INTERNAL:
        os.kill(os.getpid(), number)
ignore_internal()
see()
threading.Thread(target=see).start()
ignore_until_handled()  # glibc may have handlers by now, which exec takes away
os.execvp("sh", ["sh", "-c", "".join(f"kill -{number} $$; " for number in INTERNAL)])
"""


def test_N2_what_the_c_library_keeps_for_itself_ends_neither_us_nor_a_child() -> None:
    assert INTERNAL, "of glibc 32 and 33, of musl 34 too"
    assert subprocess.run([sys.executable, "-c", INTERNALS], check=False).returncode == 0


def test_signals_have_names() -> None:
    assert name(signal.SIGUSR1) == "SIGUSR1"
    assert name(signal.SIGRTMIN + 3) == "SIGRTMIN+3"
