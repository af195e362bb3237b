-- claim_probe.lua: who may try an ejected endpoint with one request. One at a time, for as long as the lease lasts.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 by  4 lease_ms
-- reply  granted (0/1), milliseconds until it is worth asking again

local by, lease = ARGV[3], number(ARGV[4])

local r = load(ARGV[2], KEYS[4], KEYS[5])
if r.left == 0 or r.probe_at_ms == 0 then return { 0, 0 } end
if now < r.probe_at_ms then return { 0, r.probe_at_ms - now } end
if now < r.probe_until_ms and r.prober ~= by then return { 0, r.probe_until_ms - now } end
r.prober, r.probe_until_ms = by, now + lease
save(r)
return { 1, 0 }
