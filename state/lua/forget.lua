-- forget.lua: an endpoint left the cluster; drop all that is known of it, unless another workload has taken the address.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload
-- reply  1 forgotten, 0 left alone

local r = load(ARGV[2], KEYS[4], KEYS[5])
if r.workload ~= '' and ARGV[3] ~= '' and r.workload ~= ARGV[3] then return 0 end
if r.left > 0 then
  redis.call('DEL', r.eject_key)
  lifted(r, 'uneject', 'removed', r.by)
end
redis.call('DEL', r.hash_key)
return 1
