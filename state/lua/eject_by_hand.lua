-- eject_by_hand.lua: an operator takes an endpoint out, whatever the cap says; one that is out already gets the new time.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload, for the log, if the record knows none  4 by  5 why
--        6 ejection_ms (0: until somebody puts it back)
-- reply  was it out before (0/1), how many endpoints of the cluster are out now

local by, why, ejection_ms = ARGV[4], ARGV[5], number(ARGV[6])

local r = load(ARGV[2], KEYS[4], KEYS[5])
local was_out, workload = r.left > 0, r.workload ~= '' and r.workload or ARGV[3]

r.generation, r.consecutive_5xx, r.probe_at_ms = r.generation + 1, 0, 0
r.by, r.reason = by, why
r.ejected_until_ms = ejection_ms > 0 and now + ejection_ms or FOREVER_MS
r.ejection_ms = r.ejected_until_ms - now
r.workload = ''  -- an ejection by hand is one of the address
write_eject_key(r)
mark_ejected(r)
r.workload = workload
log('by_hand', r, was_out and 'changed' or 'ejected', by, '', why)
return { was_out and 1 or 0, count_active(r) }
