"""While the cap of a cluster leaves no room for one more ejection, nobody reports what its endpoints answer.

Nothing could come of it, and an endpoint that only the cap keeps in may fail for hours. It begins with the fleet's word
that a run of failures overflowed, which one replica gets and all hear of (`full`), and holds until there is room in
this replica's own view, which is what its reports are judged by. Counting begins anew then: what came before does not
make a run with what comes after, since successes in between were told no more than failures were.
"""

from proxy.fleet.clusters import Cluster
from proxy.fleet.desk import Desk
from state.outlier.decide import under_cap

# For so long the fleet's word goes before this replica's own view of the cap, or the two could argue at every outcome.
FLEETS_WORD_MS = 1000


def begin(desk: Desk, cluster: Cluster) -> None:
    """The fleet says that there is no room. May raise ClusterLocked."""
    desk.scoreboard.clusters.set_full(cluster.slot, desk.loop.now_ms() + FLEETS_WORD_MS)
    desk.ejections.start_again(cluster, keep_dirty=False)


def is_kept(desk: Desk, cluster: Cluster) -> bool:
    """Whether nothing is to be reported of the cluster now. May raise ClusterLocked."""
    until_ms = desk.scoreboard.clusters.full(cluster.slot)
    if not until_ms or not desk.ejections.shared(cluster):
        return False
    out = desk.scoreboard.outlier.count_shared(cluster.slots)
    if desk.loop.now_ms() < until_ms or not under_cap(cluster.policy, out):
        return True
    desk.ejections.start_again(cluster, keep_dirty=True)  # others may have begun to count before
    desk.scoreboard.clusters.set_full(cluster.slot, 0)
    return False


def look_again(desk: Desk, cluster: Cluster) -> None:
    """Something came back, or the rule is another: from now on this replica's own view says whether there is room."""
    if desk.scoreboard.clusters.full(cluster.slot):
        desk.scoreboard.clusters.set_full(cluster.slot, 1)
