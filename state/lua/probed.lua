-- probed.lua: what the request that tried an ejected endpoint says. Specification: state/outlier/decide.py `judge_probe`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload  4 generation  5 status  6 by  7 evidence  8 success (0/1)
--        9-16 policy, as report.lua
-- reply  as report.lua: returned, ejected or stale

local generation, status, by, evidence, success = number(ARGV[4]), number(ARGV[5]), ARGV[6], ARGV[7], ARGV[8] == '1'

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, ARGV[3])
local due = r.left > 0 and r.probe_at_ms > 0 and r.probe_at_ms <= now
if not due or generation ~= r.generation then return verdict('stale', r) end

if success then
  redis.call('DEL', r.eject_key)
  lifted(r, 'uneject', 'probe_succeeded', by)
  return verdict('returned', r)
end
r.unejected_at_ms, r.last_status = now, status
keep_evidence(r, evidence, true)
eject(r, 1, policy_at(9), 'probe_failed', by)
return verdict('ejected', r)
