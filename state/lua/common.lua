-- common.lua: put in front of every script, after the numbers of state/constants.py. Time, the record of one endpoint, and
-- what every change of it entails. cluster.lua follows.
-- KEYS[1] ejected (zset endpoint -> until)  KEYS[2] log (stream)  KEYS[3] version   ARGV[1] channel of events
-- The eject key is the truth for "is it ejected", by its expiry; the hash and the zset follow it (see `settle`).
-- Records of state/outlier/store.py (a Batch, a Policy, an Ejection) come as one argument each, in msgpack, by the names of
-- their fields. The rules are those of state/outlier/decide.py.

local IDLE_MS = 600000           -- a record nobody touches is dropped this long after its ejection
local LOG_ENTRIES = 200
local FOREVER_MS = 4102444800000 -- an eject key without expiry: until the year 2100
local SLACK_MS = 100             -- TIME and the clock that expires keys may differ a little inside a script

local EJECTED_KEY, LOG_KEY, VERSION_KEY, CHANNEL = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local CLUSTER_KEYS = string.sub(EJECTED_KEY, 1, -#'ejected' - 1)
local PACE_KEY = CLUSTER_KEYS .. 'pace' -- milliseconds, see report.lua

local FULL_KEY = CLUSTER_KEYS .. 'full' -- milliseconds: when there was, or will be, room under the cap again, see cluster.lua

local time = redis.call('TIME')  -- once: it need not stand still
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local NUMBERS = {
  'failures', 'generation', 'ejections', 'backoff', 'consecutive_5xx', 'ejection_ms', 'ejected_until_ms',
  'unejected_at_ms', 'last_status', 'overflows', 'overflow_logged_ms', 'run_since_ms', 'local_failures', 'probe_at_ms',
  'probe_until_ms', 'gateway_failures', 'gateway_local_failures', 'local_origin_failures', 'crossed_at', 'begun_ms',
  'asked_ms', 'load', 'load_ms', 'witnesses_until_ms', 'witnesses_of', 'ask_at_ms', 'ask_pause_ms',
}
local COUNTED = { -- reasons that come with a number: failures in a row, or a percentage
  consecutive_5xx = true, consecutive_gateway_failure = true, consecutive_local_origin_failure = true,
  success_rate = true, failure_percentage = true,
}
local RULES = { probe_failed = true } -- reasons that are no hand's
for reason in pairs(COUNTED) do RULES[reason] = true end
local WORDS = { 'workload', 'reporters', 'local_reporters', 'evidence', 'by', 'reason', 'prober', 'names', 'crossed' }

local function number(text)
  return tonumber(text or 0) or 0
end

local function whole(value)  -- tostring would write 1.7e+12
  return string.format('%.0f', value)
end

local function seconds(ms)
  if ms >= ENDLESS_MS then return 'forever' end
  return (string.format('%.3f', ms / 1000):gsub('%.?0+$', '', 1)) .. 's'
end

local function named(text, name)  -- the word in "... name=word ...", '' without it
  return string.match(' ' .. text, '%s' .. name .. '=(%S*)') or ''
end

local function pairs_of(flat)
  local made = {}
  for i = 1, #flat, 2 do made[flat[i]] = flat[i + 1] end
  return made
end

local function version()
  return number(redis.call('GET', VERSION_KEY))
end

local function reset(r, workload)
  for _, name in ipairs(NUMBERS) do r[name] = 0 end
  for _, name in ipairs(WORDS) do r[name] = '' end
  r.workload, r.left, r.stored = workload, 0, {}
end

local function read(r)
  local flat, stored = redis.call('HGETALL', r.hash_key), {}
  for i = 1, #NUMBERS do r[NUMBERS[i]] = 0 end
  for i = 1, #WORDS do r[WORDS[i]] = '' end
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    if r[name] == 0 then
      r[name] = tonumber(value) or 0
    elseif r[name] == '' then  -- other names are somebody else's
      r[name] = value
    end
    stored[name] = r[name]
  end
  r.stored = stored
end

-- Writes what has changed. A field that is missing reads as 0 or ''.
local function save(r)
  local flat, stored = {}, r.stored
  for i = 1, #WORDS do
    local name = WORDS[i]
    if (stored[name] or '') ~= r[name] then flat[#flat + 1], flat[#flat + 2] = name, r[name] end
    stored[name] = r[name]
  end
  for i = 1, #NUMBERS do
    local name = NUMBERS[i]
    if (stored[name] or 0) ~= r[name] then flat[#flat + 1], flat[#flat + 2] = name, whole(r[name]) end
    stored[name] = r[name]
  end
  if #flat > 0 then redis.call('HSET', r.hash_key, unpack(flat)) end
  redis.call('PEXPIREAT', r.hash_key, whole(math.max(now, r.ejected_until_ms) + IDLE_MS))
end

local function without_run(r)
  r.failures, r.run_since_ms, r.local_failures, r.reporters, r.local_reporters = 0, 0, 0, '', ''
  r.gateway_failures, r.gateway_local_failures, r.local_origin_failures, r.crossed, r.crossed_at = 0, 0, 0, '', 0
  r.begun_ms, r.asked_ms = 0, 0
end

-- Whether the fleet knows of the current run: where only witnesses tell of an endpoint (cluster.lua), once it has been asked.
local function told(r)
  return r.failures > 0 and (r.witnesses_until_ms == 0 or r.asked_ms > 0)
end

-- How long ago the current run began.
local function age_us(r)
  if r.begun_ms > 0 then return (now - r.begun_ms) * 1000 end
  return r.run_since_ms > 0 and (now - r.run_since_ms) * 1000 + (r.age_us or 0) or 0
end

-- Milliseconds until the endpoint may be probed; -1: it comes back by itself.
local function probe_in(r)
  if r.left == 0 or r.probe_at_ms == 0 then return -1 end
  return math.max(0, r.probe_at_ms - now)
end

-- What only tells of a decision must not undo it: a user who may not run that has decided all the same. (state/server/
-- preflight.py `missing_right` knows the same signs.)
local function tell_if_allowed(...)
  local reply = redis.pcall(...)
  local fault = type(reply) == 'table' and reply.err and string.lower(reply.err) or ''
  local refused = false
  for _, sign in ipairs({ 'noperm', 'no permissions', 'acl failure', "user executing the script can't" }) do
    refused = refused or string.find(fault, sign, 1, true) ~= nil
  end
  if fault ~= '' and not refused then redis.call(...) end  -- fails again, as what it is
end

-- Why it is out: the words in front of the evidence, each once (`refused`, `503,refused`). A hand needs no evidence.
local function cause_of(r)
  local words, seen = {}, { ['0'] = true } -- "no answer", as older versions write
  for word in string.gmatch(RULES[r.reason] and r.evidence or '', '([%w_]+)@[^,]*') do
    if not seen[word] then words[#words + 1], seen[word] = word, true end
  end
  return table.concat(words, ',')
end

-- One line of text; state/outlier/events.py reads it back.
local function publish(kind, r, at_version, why)
  tell_if_allowed('PUBLISH', CHANNEL, table.concat({
    kind,
    'endpoint=' .. r.endpoint,
    'workload=' .. r.workload,
    'version=' .. whole(at_version),
    'generation=' .. whole(r.generation),
    'failures=' .. whole(kind == 'eject' and r.consecutive_5xx or r.failures),
    'left_ms=' .. whole(r.left),
    'ejection_ms=' .. whole(r.left > 0 and r.ejection_ms or 0),
    'ejections=' .. whole(r.ejections),
    'backoff=' .. whole(r.backoff),
    'probe_in_ms=' .. whole(probe_in(r)),
    'by=' .. r.by,
    'reason=' .. (why or r.reason),
    'cause=' .. (kind == 'eject' and cause_of(r) or ''),
    'age_us=' .. whole(kind == 'dirty' and age_us(r) or 0),
  }, ' ') .. (r.witnesses_until_ms > 0 and ' witnesses=' .. whole(r.witnesses_until_ms) .. ' of=' .. whole(r.witnesses_of) or ''))
end

-- `evidence`: the failures that are the reason, '' for none. `reason`: what the hand that did it said, or what else there is to
-- say.
local function log(kind, r, why, by, evidence, reason)
  local entry = {
    'kind', kind, 'endpoint', r.endpoint, 'workload', r.workload, 'why', why, 'consecutive_5xx', whole(r.consecutive_5xx),
    'ejections', whole(r.ejections), 'backoff', whole(r.backoff), 'ejection_time', seconds(r.ejection_ms),
    'generation', whole(r.generation), 'by', by,
  }
  if evidence and evidence ~= '' then entry[#entry + 1], entry[#entry + 2] = 'evidence', evidence end
  if reason and reason ~= '' and reason ~= 'by_hand' then entry[#entry + 1], entry[#entry + 2] = 'reason', reason end
  tell_if_allowed('XADD', LOG_KEY, 'MAXLEN', '~', whole(LOG_ENTRIES), '*', unpack(entry))
end

-- Tell everybody of a change that moves the version.
local function announce(kind, r, why)
  publish(kind, r, redis.call('INCR', VERSION_KEY), why)
end

-- The record is out until r.ejected_until_ms; the caller has set who, why and for how long.
local function mark_ejected(r)
  without_run(r)
  r.prober, r.probe_until_ms = '', 0
  r.left = r.ejected_until_ms - now
  r.unejected_at_ms = r.ejected_until_ms
  redis.call('ZADD', EJECTED_KEY, whole(r.ejected_until_ms), r.endpoint)
  save(r)
  announce('eject', r)
end

-- What the number of failures that did it is called in the eject key.
local function counted_as(reason)
  return COUNTED[reason] and reason or 'consecutive_5xx'
end

local function eject_key_text(r)
  local cause = cause_of(r)
  return table.concat({
    'reason=' .. r.reason, counted_as(r.reason) .. '=' .. whole(r.consecutive_5xx), 'ejections=' .. whole(r.ejections),
    'backoff=' .. whole(r.backoff), 'ejection_time=' .. seconds(r.ejection_ms), 'workload=' .. r.workload,
    'generation=' .. whole(r.generation), 'by=' .. r.by,
  }, ' ') .. (cause ~= '' and ' cause=' .. cause or '') .. (r.probe_at_ms > 0 and ' recovery=probe' or '')
end

-- Half a decision is worse than none, so what a user may not do is found out before. (Servers older than 7.0 do not say.)
local function needs_all(r)
  for _, attempt in ipairs({
    { 'SET', r.eject_key, '' }, { 'ZADD', EJECTED_KEY, '0', r.endpoint }, { 'HSET', r.hash_key, 'by', '' },
    { 'PEXPIREAT', r.hash_key, '0' }, { 'INCR', VERSION_KEY },
  }) do
    if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(attempt)) then
      error("NOPERM no permissions to run the '" .. string.lower(attempt[1]) .. "' command, or on its key")
    end
  end
end

-- Absolute expiry, so that the key and r.ejected_until_ms end in the same millisecond.
local function write_eject_key(r)
  needs_all(r)
  if r.ejected_until_ms >= FOREVER_MS then
    redis.call('SET', r.eject_key, eject_key_text(r))
  else
    redis.call('SET', r.eject_key, eject_key_text(r), 'PXAT', whole(r.ejected_until_ms))
  end
end

local function mark_unejected(r)
  without_run(r)
  r.ejected_until_ms, r.left, r.probe_at_ms, r.prober, r.probe_until_ms = 0, 0, 0, '', 0
  redis.call('ZREM', EJECTED_KEY, r.endpoint)
end

local function expired(r)
  mark_unejected(r)
  save(r)
  log('uneject', r, 'expired', r.by)
end

-- Back before its time.
local function lifted(r, kind, why, by, reason)
  mark_unejected(r)
  if number(redis.call('GET', FULL_KEY)) > now then redis.call('SET', FULL_KEY, whole(now), 'PX', whole(IDLE_MS)) end
  r.unejected_at_ms = now
  save(r)
  announce('uneject', r, kind == 'by_hand' and 'by_hand' or why)
  log(kind, r, why, by, '', reason)
end

local function eject_text(r)
  local text = redis.pcall('GET', r.eject_key)
  return type(text) == 'string' and text or ''
end

-- Somebody wrote the eject key. If it is our own text, only the hash was lost; else old evidence is fenced by a new generation.
local function adopt(r)
  local text, was_out = eject_text(r), r.ejected_until_ms > 0
  local written = number(named(text, 'generation'))
  local ours = written > r.generation
  r.generation = ours and written or r.generation + 1
  r.workload = named(text, 'workload')  -- none: whoever is at that address
  r.reason = named(text, 'reason')
  if r.reason == '' then r.reason = 'by_hand' end
  r.by = named(text, 'by')
  if r.by == '' then r.by = 'hand' end
  r.consecutive_5xx = number(named(text, counted_as(r.reason)))
  r.ejections = math.max(r.ejections, number(named(text, 'ejections')))
  r.backoff = math.max(r.backoff, number(named(text, 'backoff')))
  r.ejection_ms, r.ejected_until_ms, r.probe_at_ms = r.left, now + r.left, 0
  if ours and named(text, 'recovery') == 'probe' then
    r.ejection_ms = math.max(1, r.left - PROBE_AWAITED_MS)
    r.probe_at_ms = now + r.ejection_ms
  end
  mark_ejected(r)
  if not ours then log('by_hand', r, was_out and 'changed' or 'ejected', r.by, '', r.reason) end
end

-- A hand has given an ejection another end: with words of its own, and then it is the hand's, or (EXPIRE) without.
local function changed_by_hand(r)
  local text = eject_text(r)
  local other_words = named(text, 'reason') ~= r.reason or named(text, 'by') ~= r.by
  if number(named(text, 'generation')) ~= r.generation and other_words then return adopt(r) end
  r.ejection_ms, r.ejected_until_ms, r.probe_at_ms = r.left, now + r.left, 0
  mark_ejected(r)
  log('by_hand', r, 'changed', 'hand')
end

-- Bring the record into line with the eject key. r.left is 0 afterwards unless the endpoint is out.
local function settle(r)
  local left = redis.call('PTTL', r.eject_key)
  if left == -2 then
    r.left = 0
    if r.ejected_until_ms > now + SLACK_MS then
      lifted(r, 'by_hand', 'unejected', 'hand')
    elseif r.ejected_until_ms > 0 then
      expired(r)
    end
    return
  end
  local left_now = left == -1 and FOREVER_MS - now or math.max(left, 1)
  local same = r.ejected_until_ms > 0 and math.abs(now + left_now - r.ejected_until_ms) <= SLACK_MS
  if not same and r.ejected_until_ms > 0 and r.ejected_until_ms <= now then expired(r) end
  r.left = left_now
  if same then return end
  if r.ejected_until_ms > 0 then changed_by_hand(r) else adopt(r) end
end

local function load(endpoint, eject_key, hash_key)
  local r = { endpoint = endpoint, eject_key = eject_key, hash_key = hash_key }
  read(r)
  r.left = 0
  settle(r)
  return r
end
