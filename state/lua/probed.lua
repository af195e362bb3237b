-- probed.lua: what the request that tried an ejected endpoint says. Specification: state/outlier/decide.py `judge_probe`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 Batch, of one outcome  4 Policy
-- reply  as report.lua: returned, ejected or stale

local batch, policy = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, batch.workload, batch.by)
local due = r.left > 0 and r.probe_at_ms > 0 and r.probe_at_ms <= now
if not due or batch.generation ~= r.generation then return verdict('stale', r) end

if batch.run.any_success then
  redis.call('DEL', r.eject_key)
  lifted(r, 'uneject', 'probe_succeeded', batch.by)
  return verdict('returned', r)
end
r.unejected_at_ms, r.last_status = now, batch.last_status
keep_evidence(r, batch.evidence, true)
eject(r, 1, policy, 'probe_failed', batch.by)
return verdict('ejected', r)
