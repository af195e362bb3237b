"""For whom a limit is, where an annotation of ours says it."""

from enum import StrEnum


class Scope(StrEnum):
    """Who counts together: the workers of one replica, or all replicas."""

    REPLICA = "replica"
    FLEET = "fleet"
