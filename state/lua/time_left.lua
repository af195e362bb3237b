-- time_left.lua: for how long some endpoints are still out.
-- KEYS   ejected, log, version, then eject keys
-- ARGV   1 channel
-- reply  PTTL of each: milliseconds, -1 without an end, -2 back

local left = {}
for i = 4, #KEYS do left[#left + 1] = redis.call('PTTL', KEYS[i]) end
return left
