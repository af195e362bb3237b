-- report.lua: count a batch of outcomes of one endpoint and decide. Specification: state/outlier/decide.py `decide`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 Batch  4 Policy
-- reply  outcome, failures, generation, ejections, backoff, left_ms, ejection_ms, version, wait_ms, probe_in_ms, by, reason,
--        what replicas call the workload there, separated by commas, while they do not agree, why attempts failed if it is out

local batch, policy = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
local run, by, generation = batch.run, batch.by, batch.generation
local threshold, quorum = policy.consecutive_5xx, policy.local_origin_quorum
local gateway_threshold, split = policy.consecutive_gateway_failure or 0, policy.split_local_origin  -- older replicas send none
local several = gateway_threshold > 0 or split

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, batch.workload, by)
if r.left > 0 then return verdict('already_ejected', r) end
if generation < r.generation then return verdict('stale', r) end

local was_dirty, was_told, were_until_ms = r.failures > 0, told(r), r.witnesses_until_ms
if policy.min_run_ms > 0 and began_when_full(r) then without_run(r) end
r.age_us = batch.age_us or 0  -- of a run that begins with it; told, not kept
local adopted = generation > r.generation
if adopted then  -- an ejection this server does not know of has used up the evidence
  r.generation = generation
  without_run(r)
end

if policy.min_run_ms > 0 then renew_witnesses(r) end
local ran = r.failures > 0

-- What came after the last success.
local function latest(streak)
  local trail, locals = streak.trail, streak.trail_local
  return {
    lead = trail, trail = trail, best = trail, any_success = false,
    lead_local = locals, trail_local = locals, best_external = trail - locals,
  }
end

if policy.min_run_ms > 0 and run.any_success then  -- whatever stood before it was too young to be sure of
  if r.witnesses_until_ms > 0 and r.asked_ms > 0 then answered(r) end
  without_run(r)
  local gateway, local_origin = run.gateway, run.local_origin
  run = latest(run)
  if several then run.gateway, run.local_origin = latest(gateway), latest(local_origin) end
end
local before, before_local = r.failures, r.local_failures
local before_gateway, before_gateway_local, before_local_origin
if several then
  if before == 0 then without_run(r) end  -- a script of a version that knows no other rows has ended it
  before_gateway, before_gateway_local = r.gateway_failures, r.gateway_local_failures
  before_local_origin = r.local_origin_failures
elseif run.any_success then
  r.gateway_failures, r.gateway_local_failures, r.local_origin_failures = 0, 0, 0
end
local was_crossed, was_crossed_at = r.crossed, r.crossed_at

-- The names with `name` among them; a list of a fleet's replicas, cut off where it would grow too long to read.
local function with(names, name)
  if names == '' then return name end
  if #names > 500 or string.find(',' .. names .. ',', ',' .. name .. ',', 1, true) then return names end
  return names .. ',' .. name
end

local function count(names)
  return names == '' and 0 or select(2, string.gsub(names, ',', ',')) + 1
end

-- Milliseconds. The longest that reports of this cluster take is as those who reported within the last minute have measured
-- it.
local function min_run()
  local round_trip = math.max(number(redis.call('GET', PACE_KEY)), batch.round_trip_ms)
  return math.max(policy.min_run_ms, math.min(2 * round_trip, LONGEST_MIN_RUN_MS))
end

if policy.min_run_ms > 0 and 2 * batch.round_trip_ms > policy.min_run_ms
    and batch.round_trip_ms > number(redis.call('GET', PACE_KEY)) then
  redis.call('SET', PACE_KEY, whole(batch.round_trip_ms), 'PX', whole(PACE_KEPT_MS))
end

-- A count of failures in a row, after those.
local function after(failures, streak, lead, trail)
  return streak.any_success and streak[trail] or failures + streak[lead]
end

-- The run with the failures up to the first success; of gateway errors and of connections, as they are after all of it.
local function join()
  if several then
    r.gateway_failures = after(before_gateway, run.gateway, 'lead', 'trail')
    r.gateway_local_failures = after(before_gateway_local, run.gateway, 'lead_local', 'trail_local')
    r.local_origin_failures = after(before_local_origin, run.local_origin, 'lead', 'trail')
  end
  r.failures, r.local_failures = before + run.lead, before_local + run.lead_local
  r.run_since_ms = math.min(r.run_since_ms, now)  -- a clock may be put back
  r.asked_ms = math.min(r.asked_ms, now)
  if r.run_since_ms == 0 and run.lead > 0 then r.run_since_ms = now end
  if r.witnesses_until_ms > 0 and run.lead > 0 then
    local begun_ms = begun_ms_of(r)
    r.begun_ms = r.begun_ms > 0 and math.min(r.begun_ms, begun_ms) or begun_ms
  end
  if run.lead > 0 then r.reporters = with(r.reporters, by) end
  if run.lead_local > 0 then r.local_reporters = with(r.local_reporters, by) end
end

-- A run of failures that has just begun.
local function restart(failures, locals)
  local gateway, gateway_local, local_origin = r.gateway_failures, r.gateway_local_failures, r.local_origin_failures
  without_run(r)
  r.failures, r.local_failures = failures, locals
  r.gateway_failures, r.gateway_local_failures, r.local_origin_failures = gateway, gateway_local, local_origin
  if failures > 0 then r.run_since_ms, r.reporters = now, by end
  if locals > 0 then r.local_reporters = by end
end

-- Length of a streak at the failure that reached the threshold, counting one by one; 0: not reached. Those of local origin
-- count `with_local`, and those in a streak that is over if they do `inside`.
local function crossed_at(limit, failures, locals, streak, with_local, inside)
  if limit <= 0 then return 0 end
  local added = streak.lead
  if not with_local then failures, added = failures - locals, added - streak.lead_local end
  if (streak.lead > 0 or not streak.any_success) and failures + added >= limit then
    return math.max(limit, failures + math.min(1, added))
  end
  return (inside and streak.best or streak.best_external) >= limit and limit or 0
end

-- That of the counter for `reason`, which may have reached its threshold before, and been too young.
local function crossed_by(reason, limit, ...)
  local length = crossed_at(limit, ...)
  if length == 0 and was_crossed == reason and not run.any_success and limit > 0 and was_crossed_at >= limit then
    return was_crossed_at
  end
  return length
end

-- The length of the run at the failure that reached a threshold, 0: none did; and which. Where one report reaches two, the lower
-- one is named, and of equals that of gateway errors.
local function crossing_of(confirmed)
  local alone = quorum <= 1
  local with_local, inside = confirmed and not split, alone and not split
  local found, why = crossed_by('consecutive_5xx', threshold, before, before_local, run, with_local, inside), 'consecutive_5xx'
  if not several then return found, why end
  local gateway = crossed_by('consecutive_gateway_failure', gateway_threshold, before_gateway, before_gateway_local,
    run.gateway, with_local, inside)
  local lowest = threshold
  if gateway > 0 and (found == 0 or gateway_threshold <= threshold) then
    found, why, lowest = gateway, 'consecutive_gateway_failure', gateway_threshold
  end
  if not split then return found, why end
  local limit = policy.consecutive_local_origin_failure
  local origin = crossed_by('consecutive_local_origin_failure', limit, before_local_origin, before_local_origin,
    run.local_origin, confirmed, alone)
  if origin > 0 and (found == 0 or limit < lowest) then return origin, 'consecutive_local_origin_failure' end
  return found, why
end

-- Keep the run, and tell the fleet when it starts or stops caring for successes of this endpoint.
local function keep()
  r.last_status = batch.last_status
  save(r)
  if not was_told and told(r) then publish('dirty', r, version()) end
  if was_told and not told(r) then publish('clean', r, version()) end
end

local function count_turn()
  if policy.min_run_ms > 0 and ran ~= (r.failures > 0) then turned(r) end
end

keep_evidence(r, batch.evidence, run.any_success or before == 0)
join()
local crossing, reason = crossing_of(quorum <= 1 or count(r.local_reporters) >= quorum)
if crossing == 0 then
  if run.any_success then restart(run.trail, run.trail_local) end
  count_turn()
  local changed = r.failures > 0 or was_dirty or adopted or r.witnesses_until_ms ~= were_until_ms
  if changed then keep() end  -- a success of a clean endpoint leaves no trace
  return verdict(crossing_of(true) > 0 and 'unconfirmed' or r.failures > 0 and 'counted' or 'clean', r)
end

local wait = policy.min_run_ms > 0 and wait_of(r, min_run()) or 0
if wait > 0 then
  r.crossed, r.crossed_at = reason, crossing
  count_turn()
  keep()
  return verdict('too_soon', r, wait)
end

if under_cap(r, policy) then
  if batch.last_status > 0 then r.last_status = batch.last_status end
  eject(r, crossing, policy, reason, by)
  return verdict('ejected', r)
end
r.consecutive_5xx = crossing
overflowed(r, by)
-- All counting begins again; after another threshold than that of 5xx with the next report.
local left = reason == 'consecutive_5xx' and (run.any_success and run.trail or r.failures - crossing) % threshold or 0
restart(left, 0)
r.gateway_failures, r.gateway_local_failures = math.min(left, r.gateway_failures), 0
r.local_origin_failures = math.min(left, r.local_origin_failures)
keep()
return verdict('overflow', r, 0, reason)
