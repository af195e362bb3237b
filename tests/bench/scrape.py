"""What a scrape costs the controller: `python -m tests.bench.scrape [SERIES ...]`: time, bytes, and bytes gzipped.

A scoreboard of its own, on which so many series were counted; the page is written as for a scraper, and thrown away.
"""

import sys
import time
import zlib

from proxy.admin.metrics.exposition import TEXT, written
from proxy.admin.metrics.series import SeriesFamilies
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.counting import Counter

COUNTS = (100, 500, 2000)
WORKERS = 4


def main() -> int:
    """Exit status 0."""
    for count in map(int, sys.argv[1:] or COUNTS):
        board = Scoreboard.create()
        for slot in range(WORKERS):
            board.workers.start(slot, 1 + slot)
        counter = Counter(
            board, 0, identity=b"spiffe://cluster.local/ns/httpbin/sa/web", baggage=b"k8s.deployment.name=web"
        )
        for number in range(count):
            counter.turn_to(f"workload-{number}")
            counter.request()
        families = SeriesFamilies(board, "0")
        list(written(families.read(), TEXT))  # labels are written once
        began = time.process_time()
        text = "".join(written(families.read(), TEXT)).encode()
        wrote = time.process_time()
        packed = len(zlib.compress(text, 1))
        done = time.process_time()
        print(
            f"{count:5} series: {len(text) / 1e6:6.1f} MB in {(wrote - began) * 1e3:5.0f} ms of CPU, "
            f"gzipped {packed / 1e6:5.2f} MB in {(done - wrote) * 1e3:5.0f} ms more"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
