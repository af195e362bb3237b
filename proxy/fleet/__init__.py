"""The data path's door to the fleet's state, and the only part of `proxy` (with the launchers) that knows `state`.

door.py      outcomes in: the local decision at once, the report to Redis afterwards
records.py   the scoreboard as the memory of state.outlier.local_store
ejections.py every change of an endpoint's ejection on the scoreboard, and its line in the log
standing.py  the table of these: how an endpoint may stand, and which move leads where
outbox.py    what one worker has to report; reporter.py sends it, budget.py says how long a call may take
leader.py    the one worker that listens and reconciles for the replica: settle.py when, differences.py what
strangers.py whether others who tell of our clusters are of another mesh
watch.py     whether Sentinels have made another Redis the primary
suspicion.py whether this replica's own network is to blame
lending.py   requests of the fleet's rate limits, leased for the replica; lease.py how many, and when;
             lending_by_key.py where they count by a key
sharing.py   this replica's share of limits that are the fleet's; share.py when it asks, and what it says
joining.py   since when the fleet knows endpoints that warm up
probing.py   trying an ejected endpoint with one request
desk.py      what all of these work with; wiring.py puts it together
loop.py      their clock, greenlets and chance, handed in; gevent_loop.py a worker's
"""
