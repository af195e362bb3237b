"""A whole fleet in one thread, in a time that is made up: `python -m tests.fleet.simulator --seed 4711 -v`.

The fleet's own code runs in it: all of proxy/fleet that decides, on the real scoreboard, over the real store, whose
Lua is run by LuaJIT. Made up are only time, chance, the network, the server behind the scripts, endpoints and requests.
A number, the seed, decides about everything, so that what has been seen once can be seen again.

world.py      time, chance, processes and their greenlets; what happened
server.py     a Redis of the commands that the scripts use; lua.py runs these in it
network.py    connections to it, and the client library that store code holds for redis-py
replica.py    a replica and its workers: proxy/fleet put together as worker.py does
traffic.py    endpoints and how they behave; requests and how they end
plan.py       what a seed means: how many of what, which faults when
faults.py     what goes wrong, and what hands do
invariants.py what must hold; settled.py once nothing is wrong any more; order.py which orders of events could have been
mutants.py    mends taken back, to see that their lack is noticed
run.py        a seed from beginning to end
"""
