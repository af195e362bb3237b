"""One worker's part in the fleet's state, put together: on gevent, over Redis. The parts know neither."""

from collections.abc import Callable

from proxy.fleet.budget import CONNECT_MS
from proxy.fleet.clusters import Cluster
from proxy.fleet.desk import Desk, Links
from proxy.fleet.door import Fleet
from proxy.fleet.ejections import Ejections
from proxy.fleet.gevent_loop import GeventLoop
from proxy.fleet.loop import Loop
from proxy.fleet.outbox import Outbox
from proxy.observe.outlier_log import Line, Notice
from proxy.scoreboard.scoreboard import Scoreboard
from state.outlier.redis_store import RedisStore
from state.rate_limits.store import RateLimitStore
from state.server.access import Access
from state.server.connect import connect
from state.server.preflight import Preflight
from state.server.sentinels import moved
from state.shares.store import ShareStore
from state.warmup.store import WarmupStore

# Lines of ejections wait so long, so that the access log's line of the failure that caused one is written first.
LINE_SECONDS = 0.02


def fleet(
    scoreboard: Scoreboard, worker: int, replica: str, mesh: str, access: Access, prefix: str, line: Line
) -> Fleet:
    """The door for one worker; `line` writes into its log."""
    loop = GeventLoop()
    return Fleet(desk(scoreboard, worker, replica, loop, later(loop, line), mesh), links(access, prefix))


def desk(scoreboard: Scoreboard, worker: int, replica: str, loop: Loop, line: Line, mesh: str = "") -> Desk:
    """With no cluster yet."""
    clusters: dict[str, Cluster] = {}
    ejections = Ejections(scoreboard, worker, replica, line)
    return Desk(scoreboard, worker, replica, loop, clusters, ejections, Outbox(loop, replica), mesh=mesh)


def later(loop: Loop, line: Line) -> Callable[[Notice], None]:
    """`line`, a little later."""
    return lambda notice: loop.spawn_later(LINE_SECONDS, line, notice)


def links(access: Access, prefix: str) -> Links:
    """A client for reports, and one for all else."""
    reports, all_else = (connect(access, CONNECT_MS / 1000) for _ in range(2))
    return Links(
        reports=RedisStore(reports, prefix),
        store=RedisStore(all_else, prefix),
        forget_connections=lambda: reports.connection_pool.disconnect(inuse_connections=False),
        problems=Preflight(all_else, access, prefix).problems,
        moved=lambda: moved(all_else),
        lender=RateLimitStore(all_else, prefix),
        sharer=ShareStore(all_else, prefix),
        register=WarmupStore(all_else, prefix),
    )
