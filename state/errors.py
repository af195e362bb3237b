"""What can go wrong with a store, for its callers: one of these, whatever the client library raised."""


class StoreUnavailable(Exception):
    """The store did not answer, or not usefully; the caller decides by itself and tries again later."""


class KeysUnusable(StoreUnavailable):
    """The store is well, but keys of this cluster hold what this program has not written; others are not concerned."""


class NotAllowed(StoreUnavailable):
    """The store answers, but its user lacks a right that decisions need; the text names it."""
