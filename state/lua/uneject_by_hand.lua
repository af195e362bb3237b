-- uneject_by_hand.lua: an operator puts an endpoint back.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload, if the record knows none  4 by  5 why ('' if nothing was said)
-- reply  was it out (0/1)

local r = load(ARGV[2], KEYS[4], KEYS[5])
if r.left == 0 then return 0 end
redis.call('DEL', r.eject_key)
if r.workload == '' then r.workload = ARGV[3] end
lifted(r, 'by_hand', 'unejected', ARGV[4], ARGV[5])
return 1
