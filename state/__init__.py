"""Outlier state of a fleet: who decides that an endpoint is ejected, and where that is kept.

`decide` is the pure specification; `local_store` applies it to memory, `redis_store` runs the same rules as Lua inside
Redis. Never imports `proxy`, never imports gevent: a test, a command line tool and a worker use it alike.
"""
