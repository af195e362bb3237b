-- report.lua: count a batch of outcomes of one endpoint and decide. Specification: state/decide.py `decide`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload  4 generation  5 lead  6 any_success (0/1)  7 trail  8 best_run  9 last_status  10 by
--        11 consecutive_5xx (threshold, 0: never)  12 interval_ms  13 base_ejection_ms  14 max_ejection_percent  15 endpoints
-- reply  outcome, failures, generation, ejections, backoff, left_ms, ejection_ms, version, by

local endpoint, workload, by = ARGV[2], ARGV[3], ARGV[10]
local generation, lead, any_success = number(ARGV[4]), number(ARGV[5]), ARGV[6] == '1'
local trail, best_run = number(ARGV[7]), number(ARGV[8])
local threshold, interval, base = number(ARGV[11]), math.max(1, number(ARGV[12])), number(ARGV[13])

local r = load(endpoint, KEYS[4], KEYS[5])
identify(r, workload)
if r.left > 0 then return verdict('already_ejected', r) end
if generation < r.generation then return verdict('stale', r) end

local before = r.failures
local adopted = generation > r.generation
if adopted then  -- an ejection this server does not know of has used up the evidence
  r.generation, r.failures, r.reporters = generation, 0, ''
end

-- Length of the run at the failure that reached the threshold, counting one by one; 0: not reached.
local function crossed_at()
  if threshold <= 0 then return 0 end
  if lead > 0 and r.failures + lead >= threshold then return math.max(threshold, r.failures + 1) end
  return best_run >= threshold and threshold or 0
end

local function after_overflow()
  if any_success then return trail % threshold end
  return (r.failures + lead - math.max(threshold, r.failures + 1)) % threshold
end

-- Envoy's multiplier: one less per healthy interval, one more now, overshooting the maximum by at most one.
local function next_backoff()
  local healthy = math.floor(math.max(0, now - r.unejected_at_ms) / interval)
  local backoff = math.max(0, r.backoff - healthy)
  if backoff * base < math.max(MAX_EJECTION_MS, base) + base then return backoff + 1 end
  return backoff
end

local function eject(run)
  r.backoff = next_backoff()
  r.ejection_ms = math.min(base * r.backoff, math.max(MAX_EJECTION_MS, base))
  r.ejected_until_ms = now + r.ejection_ms
  r.generation, r.ejections, r.consecutive_5xx = r.generation + 1, r.ejections + 1, run
  r.by, r.reason, r.last_status = by, 'consecutive_5xx', number(ARGV[9])
  write_eject_key(r)
  mark_ejected(r)
  log('eject', r, r.reason, by)
  return verdict('ejected', r)
end

-- Reporters of the current run, so that a reader sees whether one replica or all of them suffer.
local function add_reporter()
  if r.failures == 0 then
    r.reporters = ''
  elseif any_success or before == 0 then
    r.reporters = by
  elseif #r.reporters < 500 and not string.find(',' .. r.reporters .. ',', ',' .. by .. ',', 1, true) then
    r.reporters = r.reporters .. ',' .. by
  end
end

-- Keep the new run, and tell the fleet when it starts or stops caring for successes of this endpoint.
local function keep(failures)
  r.failures, r.last_status = failures, number(ARGV[9])
  add_reporter()
  save(r)
  if before == 0 and failures > 0 then publish('dirty', r, version()) end
  if before > 0 and failures == 0 then publish('clean', r, version()) end
end

local run = crossed_at()
if run == 0 then
  local failures = any_success and trail or r.failures + lead
  if failures > 0 or before > 0 or adopted then keep(failures) end  -- a success of a clean endpoint leaves no trace
  return verdict(failures > 0 and 'counted' or 'clean', r)
end
if under_cap(r, number(ARGV[14]), number(ARGV[15])) then return eject(run) end
r.consecutive_5xx = run
overflowed(r, by)
keep(after_overflow())
return verdict('overflow', r)
