-- common.lua: put in front of every script, after the numbers of state/constants.py. Time, the record of one endpoint, and what every change of it entails.
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
local REPLICAS_KEY = CLUSTER_KEYS .. 'replicas' -- hash replica -> "told=MS for=MS view=NAME"

local time = redis.call('TIME')  -- once: it need not stand still
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local NUMBERS = {
  'failures', 'generation', 'ejections', 'backoff', 'consecutive_5xx', 'ejection_ms', 'ejected_until_ms',
  'unejected_at_ms', 'last_status', 'overflows', 'overflow_logged_ms', 'run_since_ms', 'local_failures', 'probe_at_ms',
  'probe_until_ms',
}
local RULES = { consecutive_5xx = true, probe_failed = true } -- reasons that are no hand's
local WORDS = { 'workload', 'reporters', 'local_reporters', 'evidence', 'by', 'reason', 'prober', 'names' }

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

-- What replicas say the cluster consists of: endpoint -> workload, one for all that say the same. Only what was told lately
-- (see `tell`), so that a replica that is gone soon has no say. `but`: leave out this replica's.
local function views_but(but)
  local found, seen = {}, {}
  for replica, text in pairs(pairs_of(redis.call('HGETALL', REPLICAS_KEY))) do
    local age, view = now - number(named(text, 'told')), named(text, 'view')
    if replica ~= but and age >= 0 and age < number(named(text, 'for')) and not seen[view] then
      found[#found + 1], seen[view] = pairs_of(redis.call('HGETALL', CLUSTER_KEYS .. 'view:' .. view)), true
    end
  end
  return found
end

local function in_one_of(views, endpoint)
  for _, view in ipairs(views) do
    if view[endpoint] then return true end
  end
  return false
end

-- A replica says which view of the cluster it has, and for how long that is to be believed.
local function tell(replica, view, for_ms)
  redis.call('HSET', REPLICAS_KEY, replica, 'told=' .. whole(now) .. ' for=' .. whole(for_ms) .. ' view=' .. view)
  redis.call('PEXPIREAT', REPLICAS_KEY, whole(now + VIEW_KEPT_MS))
  redis.call('PEXPIREAT', CLUSTER_KEYS .. 'view:' .. view, whole(now + VIEW_KEPT_MS))
end

-- Replicas that have not told anything for long leave no trace.
local function drop_the_gone()
  local kept, gone = {}, false
  for replica, text in pairs(pairs_of(redis.call('HGETALL', REPLICAS_KEY))) do
    if math.abs(now - number(named(text, 'told'))) > VIEW_KEPT_MS then
      gone = true
    else
      kept[#kept + 1], kept[#kept + 2] = replica, text
    end
  end
  if not gone then return end
  redis.call('DEL', REPLICAS_KEY)
  for i = 1, #kept, 2 do redis.call('HSET', REPLICAS_KEY, kept[i], kept[i + 1]) end
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
  for i = 1, #flat, 2 do stored[flat[i]] = flat[i + 1] end
  for i = 1, #NUMBERS do
    local name = NUMBERS[i]
    local value = tonumber(stored[name] or 0) or 0
    r[name], stored[name] = value, value
  end
  for i = 1, #WORDS do
    local name = WORDS[i]
    local value = stored[name] or ''
    r[name], stored[name] = value, value
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
  }, ' '))
end

-- `evidence`: the failures that are the reason, '' for none. `reason`: what the hand that did it said.
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

local function eject_key_text(r)
  return table.concat({
    'reason=' .. r.reason, 'consecutive_5xx=' .. whole(r.consecutive_5xx), 'ejections=' .. whole(r.ejections),
    'backoff=' .. whole(r.backoff), 'ejection_time=' .. seconds(r.ejection_ms), 'workload=' .. r.workload,
    'generation=' .. whole(r.generation), 'by=' .. r.by,
  }, ' ') .. (r.probe_at_ms > 0 and ' recovery=probe' or '')
end

-- Absolute expiry, so that the key and r.ejected_until_ms end in the same millisecond.
local function write_eject_key(r)
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
  r.unejected_at_ms = now
  save(r)
  announce('uneject', r, kind == 'by_hand' and 'by_hand' or why)
  log(kind, r, why, by, '', reason)
end

-- Somebody wrote the eject key. If it is our own text, only the hash was lost; else old evidence is fenced by a new generation.
local function adopt(r)
  local text = redis.pcall('GET', r.eject_key)
  if type(text) ~= 'string' then text = '' end
  local written = number(named(text, 'generation'))
  local ours = written > r.generation
  r.generation = ours and written or r.generation + 1
  r.workload = named(text, 'workload')  -- none: whoever is at that address
  r.reason = named(text, 'reason')
  if r.reason == '' then r.reason = 'by_hand' end
  r.by = named(text, 'by')
  if r.by == '' then r.by = 'hand' end
  r.consecutive_5xx = number(named(text, 'consecutive_5xx'))
  r.ejections = math.max(r.ejections, number(named(text, 'ejections')))
  r.backoff = math.max(r.backoff, number(named(text, 'backoff')))
  r.ejection_ms, r.ejected_until_ms, r.probe_at_ms = r.left, now + r.left, 0
  if ours and named(text, 'recovery') == 'probe' then
    r.ejection_ms = math.max(1, r.left - PROBE_AWAITED_MS)
    r.probe_at_ms = now + r.ejection_ms
  end
  mark_ejected(r)
  if not ours then log('by_hand', r, 'ejected', r.by, '', r.reason) end
end

local function changed_by_hand(r)
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
  local r = { endpoint = endpoint, eject_key = eject_key, hash_key = hash_key, left = 0 }
  read(r)
  settle(r)
  return r
end

-- What replicas call the workload at an address: this one, `by`, says `workload`; the others what their views say.
local function names_of(endpoint, workload, by)
  local names, seen = { workload }, { [workload] = true, [''] = true }
  for _, view in ipairs(views_but(by)) do
    local name = view[endpoint] or ''
    if not seen[name] then names[#names + 1], seen[name] = name, true end
  end
  table.sort(names)
  return names
end

local function replaced_by(r, workload)
  if r.left > 0 then
    redis.call('DEL', r.eject_key)
    lifted(r, 'uneject', 'new_workload', workload)
  end
  redis.call('DEL', r.hash_key)
  reset(r, workload)
end

-- Replicas go on to differ. Which of them has the old snapshot, nobody can tell: what is counted is the address's.
local function disputed(r, names, by)
  local joined, named_before = table.concat(names, ','), r.workload
  if r.names == joined and r.workload == '' then return end
  r.workload = ''
  if r.names ~= joined then
    r.names = joined
    log('disagree', r, 'workload', by, '', joined)
  end
  save(r)
  if r.left > 0 and named_before ~= '' then announce('eject', r) end  -- it is out for all of them now
  if r.failures > 0 then publish('dirty', r, version()) end
end

-- Another workload has taken the address: what its predecessor did is not its own; but only once no replica is left that
-- knows the predecessor there. An empty name contradicts nobody.
local function identify(r, workload, by)
  if workload == '' or (r.names == '' and r.workload == workload) then return end
  if r.names == '' and r.workload == '' then
    if r.left == 0 then r.workload = workload end  -- an ejection by hand stays one of the address
    return
  end
  local names = names_of(r.endpoint, workload, by)
  if #names > 1 then return disputed(r, names, by) end
  r.names = ''
  if r.workload ~= '' and r.workload ~= workload then return replaced_by(r, workload) end
  if r.left == 0 or RULES[r.reason] then r.workload = workload end
  save(r)
end

-- A replica reads the record of what it calls `workload`. That alone starts no dispute, but may end one.
local function read_by(r, workload, by)
  if workload == '' or (r.names == '' and (r.workload == workload or r.workload == '')) then return end
  if #names_of(r.endpoint, workload, by) == 1 then identify(r, workload, by) end
end

-- How many endpoints of the cluster are ejected. One whose key is gone makes room: everybody hears of it first. One that no
-- replica has in the cluster any more is out still, should it come back, but no part of what the cap is a share of.
-- `r` itself is in and so never among them.
local function count_active(r)
  local eject_prefix = string.sub(r.eject_key, 1, -#r.endpoint - 1)
  local hash_prefix = string.sub(r.hash_key, 1, -#r.endpoint - 1)
  local members, count = redis.call('ZRANGE', EJECTED_KEY, 0, -1), 0
  local views = #members > 0 and views_but('') or {}
  for _, member in ipairs(members) do
    if redis.call('EXISTS', eject_prefix .. member) == 1 then
      if #views == 0 or in_one_of(views, member) then count = count + 1 end
    else
      load(member, eject_prefix .. member, hash_prefix .. member)
      redis.call('ZREM', EJECTED_KEY, member)  -- its record may be gone too
    end
  end
  return count
end

local function under_cap(r, policy)
  return 100 * (count_active(r) + 1) <= math.min(100, policy.max_ejection_percent) * policy.endpoints
end

-- Count an overflow, and log it unless that was done lately.
local function overflowed(r, by)
  r.overflows = r.overflows + 1
  if now - r.overflow_logged_ms >= OVERFLOW_LOG_MS then
    r.overflow_logged_ms = now
    log('overflow', r, 'max_ejection_percent', by, r.evidence)
  end
end

-- Envoy's multiplier: one less per healthy interval, one more now, overshooting the maximum by at most one.
local function next_backoff(r, policy)
  local healthy = math.floor(math.max(0, now - r.unejected_at_ms) / math.max(1, policy.interval_ms))
  local backoff = math.max(0, r.backoff - healthy)
  local base = policy.base_ejection_ms
  return backoff * base < math.max(MAX_EJECTION_MS, base) + base and backoff + 1 or backoff
end

-- Out from now on, for a run of so many failures, or (1) a probe that failed.
local function eject(r, run, policy, reason, by)
  r.backoff = next_backoff(r, policy)
  local base = policy.base_ejection_ms
  r.ejection_ms = math.min(base * r.backoff, math.max(MAX_EJECTION_MS, base))
  r.probe_at_ms = policy.probe and now + r.ejection_ms or 0
  r.ejected_until_ms = now + r.ejection_ms + (policy.probe and PROBE_AWAITED_MS or 0)
  r.generation, r.ejections, r.consecutive_5xx = r.generation + 1, r.ejections + 1, run
  r.by, r.reason = by, reason
  write_eject_key(r)
  mark_ejected(r)
  log('eject', r, reason, by, r.evidence)
end

-- Adds the newest failures to those kept, or starts again with them.
local function keep_evidence(r, more, fresh)
  if more == '' then return end
  local all = (fresh or r.evidence == '') and more or r.evidence .. ',' .. more
  local _, commas = string.gsub(all, ',', '')
  for _ = EVIDENCE, commas do all = string.sub(all, string.find(all, ',', 1, true) + 1) end
  r.evidence = all
end

local function verdict(outcome, r, wait)
  local out = r.left > 0
  return {
    outcome, out and r.consecutive_5xx or r.failures, r.generation, r.ejections, r.backoff,
    r.left, out and r.ejection_ms or 0, version(), wait or 0, probe_in(r), out and r.by or '', out and r.reason or '', r.names,
  }
end
