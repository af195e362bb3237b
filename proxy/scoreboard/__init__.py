"""The scoreboard: memory shared by the processes of one replica, so that its workers decide as one.

One memfd, mapped by arbiter, controller and workers. What each part promises:

* Counters and flags are atomics; reading them needs no lock, and a reader may see a value a moment old.
* Outlier state of an endpoint changes only under its cluster's lock, a robust process-shared mutex: a worker killed
  while it holds one is noticed by the next (EOWNERDEAD) and the state it left is whole enough, since every transition
  is written with the deadline last.
* The arbiter alone starts and reaps worker rows; the controller alone gives out cluster and endpoint slots, and frees
  one only after every worker has acknowledged the snapshot that no longer names it.
* Rows describe themselves (name, address, workload), so a restarted controller reads its allocation back from here.

The memory is sparse: a row costs pages only once it is used. No I/O, no policy: what the numbers mean is decided
elsewhere.

scoreboard.pyx the whole of it, and the flags of the replica; made of:
workers.pyx    the workers, their connections, the lease
clusters.pyx   slots of clusters, counters, the lock, what is known of the fleet's state
endpoints.pyx  slots of endpoints, what each looks like, how many this replica reaches
outlier.pyx    outlier state of endpoints
limits.pyx     how many there may be of something in a cluster
rate_limits.pyx  how many requests came in a time
shares.pyx     this replica's share of limits that the fleet keeps together
counts.pyx     how often what configuration names
probes.pyx     one request tries an endpoint that is out

memory.pyx     the memory, mapped; layout.pxd its rows, atomics.pxd how their fields are read and written
mutex.pyx      locks between processes; clock.pxd the clock of all times here
buckets.pyx    the histogram of request times
views.py       rows as Python sees them

The request path holds pointers to rows and reads them as they lie; the objects here are for all others.
"""
