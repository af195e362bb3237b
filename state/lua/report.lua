-- report.lua: count a batch of outcomes of one endpoint and decide. Specification: state/outlier/decide.py `decide`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload  4 generation  5 last_status  6 by  7 evidence
--        8 lead  9 any_success (0/1)  10 trail  11 best  12 lead_local  13 trail_local  14 best_external
--        15-22 policy: consecutive_5xx (0: never), interval_ms, base_ejection_ms, max_ejection_percent, endpoints, min_run_ms,
--        local_origin_quorum, probe (0/1)
-- reply  outcome, failures, generation, ejections, backoff, left_ms, ejection_ms, version, wait_ms, probe_in_ms, by, reason

local generation, status, by, evidence = number(ARGV[4]), number(ARGV[5]), ARGV[6], ARGV[7]
local lead, any_success, trail, best = number(ARGV[8]), ARGV[9] == '1', number(ARGV[10]), number(ARGV[11])
local lead_local, trail_local, best_external = number(ARGV[12]), number(ARGV[13]), number(ARGV[14])
local policy = policy_at(15)

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, ARGV[3])
if r.left > 0 then return verdict('already_ejected', r) end
if generation < r.generation then return verdict('stale', r) end

local was_dirty = r.failures > 0
local adopted = generation > r.generation
if adopted then  -- an ejection this server does not know of has used up the evidence
  r.generation = generation
  without_run(r)
end
local before, before_local = r.failures, r.local_failures

-- The names with `name` among them; a list of a fleet's replicas, cut off where it would grow too long to read.
local function with(names, name)
  if names == '' then return name end
  if #names > 500 or string.find(',' .. names .. ',', ',' .. name .. ',', 1, true) then return names end
  return names .. ',' .. name
end

local function count(names)
  return names == '' and 0 or select(2, string.gsub(names, ',', ',')) + 1
end

-- The run with the failures up to the first success.
local function join()
  r.failures, r.local_failures = before + lead, before_local + lead_local
  if r.run_since_ms == 0 and lead > 0 then r.run_since_ms = now end
  if lead > 0 then r.reporters = with(r.reporters, by) end
  if lead_local > 0 then r.local_reporters = with(r.local_reporters, by) end
end

-- A run of failures that has just begun.
local function restart(failures, locals)
  without_run(r)
  r.failures, r.local_failures = failures, locals
  if failures > 0 then r.run_since_ms, r.reporters = now, by end
  if locals > 0 then r.local_reporters = by end
end

-- Length of the run at the failure that reached the threshold, counting one by one; 0: not reached. Without those of
-- local origin unless `confirmed`.
local function crossed_at(confirmed)
  local failures = confirmed and before or before - before_local
  local added = confirmed and lead or lead - lead_local
  if policy.threshold <= 0 then return 0 end
  if (lead > 0 or not any_success) and failures + added >= policy.threshold then
    return math.max(policy.threshold, failures + math.min(1, added))
  end
  return (policy.quorum <= 1 and best or best_external) >= policy.threshold and policy.threshold or 0
end

-- Keep the run, and tell the fleet when it starts or stops caring for successes of this endpoint.
local function keep(traceless)
  if traceless then return end
  r.last_status = status
  save(r)
  if not was_dirty and r.failures > 0 then publish('dirty', r, version()) end
  if was_dirty and r.failures == 0 then publish('clean', r, version()) end
end

keep_evidence(r, evidence, any_success or before == 0)
join()
local crossing = crossed_at(policy.quorum <= 1 or count(r.local_reporters) >= policy.quorum)
if crossing == 0 then
  if any_success then restart(trail, trail_local) end
  keep(r.failures == 0 and not was_dirty and not adopted)  -- a success of a clean endpoint leaves no trace
  return verdict(crossed_at(true) > 0 and 'unconfirmed' or r.failures > 0 and 'counted' or 'clean', r)
end

local wait = any_success and 0 or r.run_since_ms + policy.min_run - now
if wait > 0 then
  keep()
  return verdict('too_soon', r, wait)
end

if under_cap(r, policy.max_percent, policy.endpoints) then
  if status > 0 then r.last_status = status end
  eject(r, crossing, policy, 'consecutive_5xx', by)
  return verdict('ejected', r)
end
r.consecutive_5xx = crossing
overflowed(r, by)
local left = any_success and trail or r.failures - crossing
restart(left % policy.threshold, 0)
keep()
return verdict('overflow', r)
