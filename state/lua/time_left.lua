-- time_left.lua: for how long some endpoints are still out; and a replica says which view of the cluster it has (`tell`).
-- KEYS   ejected, log, version, then eject keys
-- ARGV   1 channel  2 replica, '' if nothing is to be told  3 the name of its view  4 for how long that holds, in ms
-- reply  how many replicas have told, lately or not; PTTL of each: milliseconds, -1 without an end, -2 back

if ARGV[2] ~= '' then tell(ARGV[2], ARGV[3], number(ARGV[4])) end

local left = { known_replicas() }
for i = 4, #KEYS do left[#left + 1] = redis.call('PTTL', KEYS[i]) end
return left
