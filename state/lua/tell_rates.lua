-- tell_rates.lua: how many requests to each endpoint succeeded and failed since a replica told last; whoever tells when the
-- interval is over judges them, once for the fleet. Specification: state/outlier/rates.py.
-- KEYS   ejected, log, version, rates
-- ARGV   1 channel  2 Outcomes, the counts by "ENDPOINT WORKLOAD"  3 RateRule  4 Policy
-- reply  of those that were found, the worst first: {endpoint, reason, percentage, ejected, overflow or detected, generation}...

local RATES_KEY = KEYS[4] -- hash: since, carried; "ENDPOINT WORKLOAD" -> "well=N badly=N"
local told, rule, policy = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])

local window = pairs_of(redis.call('HGETALL', RATES_KEY))
local since, carried = number(window.since), number(window.carried)
window.since, window.carried = nil, nil

local changed = {}
if since == 0 then
  since = now
  changed = { 'since', whole(now) }
end
for name, count in pairs(told.counts) do
  local before = window[name] or ''
  window[name] = 'well=' .. whole(number(named(before, 'well')) + count.well)
    .. ' badly=' .. whole(number(named(before, 'badly')) + count.badly)
  changed[#changed + 1], changed[#changed + 2] = name, window[name]
end

-- In parts: a script cannot take any number of arguments.
local function write(flat)
  for i = 1, #flat, 1000 do redis.call('HSET', RATES_KEY, unpack(flat, i, math.min(i + 999, #flat))) end
  redis.call('PEXPIREAT', RATES_KEY, whole(now + 2 * rule.interval_ms))
end

if now - since < rule.interval_ms then
  write(changed)
  return {}
end

local function key_of(kind, endpoint)
  return CLUSTER_KEYS .. kind .. ':' .. endpoint
end

-- A pod that no replica knows at that address any more is not judged.
local views = views_but('')
local function is_there(endpoint, workload)
  for _, view in ipairs(views) do
    if view[endpoint] == workload then return true end
  end
  return #views == 0
end

-- What was told of each address. While replicas do not agree whose it is, it is one endpoint all the same.
local by_address = {}
for name, text in pairs(window) do
  local endpoint, workload = string.match(name, '^(%S+) (%S*)$')
  if endpoint and is_there(endpoint, workload) then
    local each = by_address[endpoint] or { endpoint = endpoint, workload = workload, well = 0, badly = 0 }
    each.well, each.badly = each.well + number(named(text, 'well')), each.badly + number(named(text, 'badly'))
    by_address[endpoint] = each
  end
end

-- Those that are in, with their share of successes.
local rates = {}
for endpoint, each in pairs(by_address) do
  each.volume = each.well + each.badly
  if each.volume > 0 and redis.call('EXISTS', key_of('eject', endpoint)) == 0 then
    each.rate = 100 * each.well / each.volume
    rates[#rates + 1] = each
  end
end
table.sort(rates, function(one, two) return one.endpoint < two.endpoint end)

local function with_volume(requests)
  local valid = {}
  for _, each in ipairs(rates) do
    if each.volume >= math.max(1, requests) then valid[#valid + 1] = each end
  end
  return valid
end

local findings, enough = {}, true
local function find(each, reason, number_of, detail, enforcing)
  if each.found then return end
  each.found, each.reason, each.number, each.detail = true, reason, math.floor(number_of + 0.5), detail
  each.enforced = told.dice < enforcing
  findings[#findings + 1] = each
end

local function by_success_rate()
  local valid, sum, squares = with_volume(rule.success_rate_request_volume), 0, 0
  if rule.success_rate_minimum_hosts == 0 then return end
  if #valid < rule.success_rate_minimum_hosts then enough = false return end
  for _, each in ipairs(valid) do sum = sum + each.rate end
  local mean = sum / #valid
  for _, each in ipairs(valid) do squares = squares + (each.rate - mean) * (each.rate - mean) end
  local threshold = mean - rule.success_rate_stdev_factor / 1000 * math.sqrt(squares / #valid)
  for _, each in ipairs(valid) do
    if each.rate < threshold then
      find(each, 'success_rate', each.rate, string.format('%.1f of 100 succeed, mean %.1f, threshold %.1f, requests %.0f',
        each.rate, mean, threshold, each.volume), rule.enforcing_success_rate)
    end
  end
end

local function by_failure_percentage()
  local valid = with_volume(rule.failure_percentage_request_volume)
  if rule.failure_percentage_minimum_hosts == 0 then return end
  if #valid < rule.failure_percentage_minimum_hosts then enough = false return end
  for _, each in ipairs(valid) do
    local failing = 100 - each.rate
    if failing >= rule.failure_percentage_threshold then
      find(each, 'failure_percentage', failing, string.format('%.1f of 100 fail, threshold %.0f, requests %.0f',
        failing, rule.failure_percentage_threshold, each.volume), rule.enforcing_failure_percentage)
    end
  end
end

by_success_rate()
by_failure_percentage()
if not enough and carried == 0 then
  changed[#changed + 1], changed[#changed + 2] = 'carried', '1'
else
  redis.call('DEL', RATES_KEY)
  changed = {}
end
changed[#changed + 1], changed[#changed + 2] = 'since', whole(now)
write(changed)

local function take_out(each)
  local r = load(each.endpoint, key_of('eject', each.endpoint), key_of('endpoint', each.endpoint))
  local names = names_of(each.endpoint, each.workload, '')
  if each.workload ~= '' and #names > 1 then
    disputed(r, names, told.by)
  else
    identify(r, each.workload, told.by)
  end
  if r.left > 0 then return nil end
  if not each.enforced then
    log('detected', r, each.reason, told.by, r.evidence, each.detail)
    return { each.endpoint, each.reason, each.number, 'detected', r.generation }
  end
  if under_cap(r, policy) then
    eject(r, each.number, policy, each.reason, told.by, each.detail)
    return { each.endpoint, each.reason, each.number, 'ejected', r.generation }
  end
  r.consecutive_5xx = each.number
  overflowed(r, told.by, each.detail)
  save(r)
  return { each.endpoint, each.reason, each.number, 'overflow', r.generation }
end

table.sort(findings, function(one, two)
  if one.rate ~= two.rate then return one.rate < two.rate end
  return one.endpoint < two.endpoint
end)
local found = {}
for _, each in ipairs(findings) do found[#found + 1] = take_out(each) end
return found
