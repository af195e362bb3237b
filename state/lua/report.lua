-- report.lua: count a batch of outcomes of one endpoint and decide. Specification: state/outlier/decide.py `decide`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 Batch  4 Policy
-- reply  outcome, failures, generation, ejections, backoff, left_ms, ejection_ms, version, wait_ms, probe_in_ms, by, reason,
--        what replicas call the workload there, separated by commas, while they do not agree, why attempts failed if it is out

local batch, policy = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
local run, by, generation = batch.run, batch.by, batch.generation
local threshold, quorum = policy.consecutive_5xx, policy.local_origin_quorum

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, batch.workload, by)
if r.left > 0 then return verdict('already_ejected', r) end
if generation < r.generation then return verdict('stale', r) end

if policy.min_run_ms > 0 and began_when_full(r) then without_run(r) end
local was_dirty = r.failures > 0
r.age_us = batch.age_us or 0  -- of a run that begins with it; told, not kept
local adopted = generation > r.generation
if adopted then  -- an ejection this server does not know of has used up the evidence
  r.generation = generation
  without_run(r)
end
if policy.min_run_ms > 0 and run.any_success then  -- whatever stood before it was too young to be sure of
  without_run(r)
  local external = run.trail - run.trail_local
  run = {
    lead = run.trail, trail = run.trail, best = run.trail, any_success = false,
    lead_local = run.trail_local, trail_local = run.trail_local, best_external = external,
  }
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

-- The longest that reports of this cluster take, as those who reported within the last minute have measured it.
local function pace()
  local known, told = number(redis.call('GET', PACE_KEY)), batch.round_trip_ms
  if 2 * told > policy.min_run_ms and told > known then
    redis.call('SET', PACE_KEY, whole(told), 'PX', whole(PACE_KEPT_MS))
  end
  return math.max(known, told)
end

local round_trip = policy.min_run_ms > 0 and pace() or 0

local function min_run()
  return policy.min_run_ms > 0 and math.max(policy.min_run_ms, math.min(2 * round_trip, LONGEST_MIN_RUN_MS)) or 0
end

-- The run with the failures up to the first success.
local function join()
  r.failures, r.local_failures = before + run.lead, before_local + run.lead_local
  r.run_since_ms = math.min(r.run_since_ms, now)  -- a clock may be put back
  if r.run_since_ms == 0 and run.lead > 0 then r.run_since_ms = now end
  if run.lead > 0 then r.reporters = with(r.reporters, by) end
  if run.lead_local > 0 then r.local_reporters = with(r.local_reporters, by) end
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
  local added = confirmed and run.lead or run.lead - run.lead_local
  if threshold <= 0 then return 0 end
  if (run.lead > 0 or not run.any_success) and failures + added >= threshold then
    return math.max(threshold, failures + math.min(1, added))
  end
  return (quorum <= 1 and run.best or run.best_external) >= threshold and threshold or 0
end

-- Keep the run, and tell the fleet when it starts or stops caring for successes of this endpoint.
local function keep(traceless)
  if traceless then return end
  r.last_status = batch.last_status
  save(r)
  if not was_dirty and r.failures > 0 then publish('dirty', r, version()) end
  if was_dirty and r.failures == 0 then publish('clean', r, version()) end
end

keep_evidence(r, batch.evidence, run.any_success or before == 0)
join()
local crossing = crossed_at(quorum <= 1 or count(r.local_reporters) >= quorum)
if crossing == 0 then
  if run.any_success then restart(run.trail, run.trail_local) end
  keep(r.failures == 0 and not was_dirty and not adopted)  -- a success of a clean endpoint leaves no trace
  return verdict(crossed_at(true) > 0 and 'unconfirmed' or r.failures > 0 and 'counted' or 'clean', r)
end

local wait = run.any_success and 0 or r.run_since_ms + min_run() - now
if wait > 0 then
  keep()
  return verdict('too_soon', r, wait)
end

if under_cap(r, policy) then
  if batch.last_status > 0 then r.last_status = batch.last_status end
  eject(r, crossing, policy, 'consecutive_5xx', by)
  return verdict('ejected', r)
end
r.consecutive_5xx = crossing
overflowed(r, by)
local left = run.any_success and run.trail or r.failures - crossing
restart(left % threshold, 0)
keep()
return verdict('overflow', r)
