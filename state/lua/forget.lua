-- forget.lua: an endpoint left the cluster in a replica; drop all that is known of it if that was the last replica to have it.
-- Left alone: what a hand has ejected, and the record of another workload that has taken the address.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload  4 replica, which has to tell its view anew afterwards
-- reply  1 forgotten, 0 left alone

redis.call('HSET', REPLICAS_KEY, ARGV[4], '')  -- what it said before: of two that forget at once one is the last
local r = load(ARGV[2], KEYS[4], KEYS[5])
if r.workload ~= '' and ARGV[3] ~= '' and r.workload ~= ARGV[3] then return 0 end
if r.left > 0 and not RULES[r.reason] then return 0 end
if in_one_of(views_but(ARGV[4]), r.endpoint) then return 0 end
if r.left > 0 then
  redis.call('DEL', r.eject_key)
  lifted(r, 'uneject', 'removed', r.by)
end
redis.call('DEL', r.hash_key)
return 1
