"""Memory that is kept for the next one."""

import subprocess
import sys

SHARED_BLOCKS = """
import os, random, threading
from proxy.wire.buffers import keep_freed

def use(seed):
    chance, held = random.Random(seed), []
    for _ in range(20_000):
        size = chance.randrange(600, 6_000)
        held.append((bytes([seed]) * size, size))
        if len(held) > 40:
            text, size = held.pop(chance.randrange(len(held)))
            assert text == bytes([seed]) * size

before = [os.urandom(1_500) for _ in range(600)]    # more than are kept, from before any is
keep_freed()
del before
threads = [threading.Thread(target=use, args=(seed,)) for seed in (1, 2)]
for thread in threads:
    thread.start()
use(3)
for thread in threads:
    thread.join()
"""


def test_no_block_of_memory_is_given_to_two_whichever_thread_asks_and_frees() -> None:
    subprocess.run([sys.executable, "-c", SHARED_BLOCKS], check=True, timeout=60)
