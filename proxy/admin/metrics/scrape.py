"""The page that Prometheus reads, in pieces: of a thousand series there are tens of megabytes, and probes want answers
meanwhile. At most SCRAPES at a time are written; whoever comes then waits for its turn, or runs out of its own time."""

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

from gevent.lock import BoundedSemaphore

from proxy.admin.metrics.exposition import written
from proxy.admin.metrics.family import Family
from proxy.admin.metrics.negotiation import form_of, takes_gzip
from proxy.admin.pages import Streamed

PATH = "/stats/prometheus"
SCRAPES = 2
_PIECE = 65536
_GZIP = 16 + zlib.MAX_WBITS


class Scrape:
    """`read` gives the families as they are at that moment."""

    def __init__(self, read: Callable[[], Iterable[Family]]) -> None:
        self._read = read
        self._turn = BoundedSemaphore(SCRAPES)

    def __call__(self, fields: Mapping[str, list[str]]) -> Streamed:
        form = form_of(fields.get("accept", []))
        gzip = takes_gzip(fields.get("accept-encoding", []))
        more = [("vary", "accept, accept-encoding"), *([("content-encoding", "gzip")] if gzip else [])]
        return Streamed(form, more, self._pieces(form, gzip))

    def _pieces(self, form: str, gzip: bool) -> Generator[bytes]:
        with self._turn:
            pieces = _gathered(written(self._read(), form))
            yield from _gzipped(pieces) if gzip else pieces


def _gathered(texts: Iterable[str]) -> Iterator[bytes]:
    gathered: list[str] = []
    size = 0
    for text in texts:
        gathered.append(text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    yield "".join(gathered).encode()


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """At the fastest level: labels repeat, so it is a fiftieth all the same."""
    squeeze = zlib.compressobj(1, wbits=_GZIP)
    for piece in pieces:
        yield squeeze.compress(piece)
    yield squeeze.flush()
