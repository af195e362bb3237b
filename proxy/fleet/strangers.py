"""Whether others who tell of our clusters are of another fleet. Pure.

Two meshes, or two Kubernetes clusters of one, that share a Redis and a prefix of keys eject each other's endpoints
where they have a Service of the same name. Nothing forbids it, and nobody would find out. But each replica tells of the
rule in force, and sees what was told before: by another mesh, or for quite other endpoints.
"""

from collections.abc import Collection

from proxy.fleet.clusters import Cluster
from state.keys import word
from state.operating.rule import parse

# Where all endpoints are replaced at once, replicas of one fleet tell of others than we have for a while, and then not
# of the same for so long.
APART_MS = 600_000
REMEDY = "give each mesh an id of its own (--mesh-id) or keys of its own (--redis-prefix)"


class Strangers:
    """One leader's eyes. `mesh`: the id of ours, "" if nobody has said; that contradicts none."""

    def __init__(self, mesh: str) -> None:
        self._mesh = mesh
        self._meshes: set[str] = set()  # those that were told of
        self._apart: dict[str, tuple[str, int]] = {}  # cluster -> a text of quite other endpoints, and since when
        self._told: set[str] = set()  # clusters of which that was told

    def told_by_us(self, cluster: Cluster) -> str:
        """The rule in force, and whose it is."""
        return f"{cluster.rule} mesh={word(self._mesh)}" if self._mesh else cluster.rule

    def warning(self, cluster: Cluster, before: str, now_ms: int) -> str:
        """What is to be said of the text that was told before, "" for nothing; each thing once."""
        rule = parse(before)
        if self._mesh and rule.mesh not in ("", self._mesh):
            return self._other_mesh(rule.mesh)
        if not rule.addresses or not cluster.endpoints or rule.addresses.keys() & cluster.endpoints.keys():
            return ""
        text, since_ms = self._apart.get(cluster.name, ("", 0))
        if text != before:
            self._apart[cluster.name] = before, now_ms
        elif now_ms - since_ms >= APART_MS:
            return self._other_endpoints(cluster)
        return ""

    def _other_mesh(self, mesh: str) -> str:
        if mesh in self._meshes:
            return ""
        self._meshes.add(mesh)
        return (
            f"another mesh ({mesh}; ours is {self._mesh}) has the same keys in Redis, so they eject each other's "
            f"endpoints: {REMEDY}"
        )

    def _other_endpoints(self, cluster: Cluster) -> str:
        if cluster.name in self._told:
            return ""
        self._told.add(cluster.name)
        return (
            "another replica has told of it for ten minutes and has none of its endpoints: if that is another mesh, "
            f"they eject each other's endpoints: {REMEDY}; else its manifests are not ours"
        )

    def retain(self, clusters: Collection[str]) -> None:
        """Forgets clusters that are gone."""
        for name in self._apart.keys() - clusters:
            del self._apart[name]
        self._told &= set(clusters)
