# What decisions are made on, as C structures: this room's own. Others fill them in; nothing here imports anything of ours.
from libc.stdint cimport int32_t

# -- balance: the endpoints of a cluster, by position ------------------------------------------------------------------

cdef struct View:
    int32_t count                # how many there are
    int32_t present              # how many are in
    const int32_t* members       # positions of those that are in, ascending
    const int32_t* rank          # how many that are in stand before each position
    const unsigned char* tried   # 1: not this time
