-- cluster.lua: put behind common.lua in front of every script. Who has which endpoints and what they are called, the cap,
-- the backoff.
-- No KEYS, ARGV or reply of its own: it works with those of common.lua, and with the keys of the cluster's replicas and views.

local REPLICAS_KEY = CLUSTER_KEYS .. 'replicas' -- hash replica -> "told=MS for=MS view=NAME"

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
  if told(r) then publish('dirty', r, version()) end
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

-- No more may be out until the first of those that are comes back. All are told once, and report nothing until then.
local function full(r)
  local known = number(redis.call('GET', FULL_KEY))
  local soonest = redis.call('ZRANGE', EJECTED_KEY, 0, 0, 'WITHSCORES')
  local until_ms = math.max(now, math.min(number(soonest[2] or now), now + VIEW_KEPT_MS))
  redis.call('SET', FULL_KEY, whole(until_ms), 'PX', whole(until_ms - now + IDLE_MS))
  if known <= now then publish('full', r, version()) end
end

-- Whether the record's run began when there was no room: what came before there was does not make a run with what came after,
-- since nobody told of successes in between.
local function began_when_full(r)
  if r.run_since_ms == 0 then return false end
  local room_ms = number(redis.call('GET', FULL_KEY))
  return room_ms <= now and r.run_since_ms < room_ms - SLACK_MS
end

-- Count an overflow, and log it unless that was done lately.
local function overflowed(r, by, detail)
  full(r)
  r.overflows = r.overflows + 1
  if now - r.overflow_logged_ms >= OVERFLOW_LOG_MS then
    r.overflow_logged_ms = now
    log('overflow', r, 'max_ejection_percent', by, r.evidence, detail)
  end
end

-- Envoy's multiplier: one less per healthy interval, one more now, overshooting the maximum by at most one.
local function next_backoff(r, policy)
  local healthy = math.floor(math.max(0, now - r.unejected_at_ms) / math.max(1, policy.interval_ms))
  local backoff = math.max(0, r.backoff - healthy)
  local base = policy.base_ejection_ms
  return backoff * base < math.max(MAX_EJECTION_MS, base) + base and backoff + 1 or backoff
end

-- Out from now on, for a run of so many failures, (1) a probe that failed, or a percentage: `detail` says of what.
local function eject(r, run, policy, reason, by, detail)
  r.backoff = next_backoff(r, policy)
  local base = policy.base_ejection_ms
  r.ejection_ms = math.min(base * r.backoff, math.max(MAX_EJECTION_MS, base))
  r.probe_at_ms = policy.probe and now + r.ejection_ms or 0
  r.ejected_until_ms = now + r.ejection_ms + (policy.probe and PROBE_AWAITED_MS or 0)
  r.generation, r.ejections, r.consecutive_5xx = r.generation + 1, r.ejections + 1, run
  r.by, r.reason = by, reason
  write_eject_key(r)
  mark_ejected(r)
  log('eject', r, reason, by, r.evidence, detail)
end

-- Adds the newest failures to those kept, or starts again with them.
local function keep_evidence(r, more, fresh)
  if more == '' then return end
  local all = (fresh or r.evidence == '') and more or r.evidence .. ',' .. more
  local _, commas = string.gsub(all, ',', '')
  for _ = EVIDENCE, commas do all = string.sub(all, string.find(all, ',', 1, true) + 1) end
  r.evidence = all
end

-- `reason`: of an overflow, why it would have been ejected.
local function verdict(outcome, r, wait, reason)
  local out = r.left > 0
  return {
    outcome, out and r.consecutive_5xx or r.failures, r.generation, r.ejections, r.backoff,
    r.left, out and r.ejection_ms or 0, version(), wait or 0, probe_in(r), out and r.by or '',
    out and r.reason or reason or '', r.names,
    out and cause_of(r) or '',
  }
end

-- -- who tells of an endpoint's outcomes: specification in state/outlier/witnesses.py

-- How many replicas there are, of whose word holds.
local function count_replicas()
  local count = 0
  for _, text in pairs(pairs_of(redis.call('HGETALL', REPLICAS_KEY))) do
    local age = now - number(named(text, 'told'))
    if age >= 0 and age < number(named(text, 'for')) then count = count + 1 end
  end
  return math.max(1, count)
end

-- How many have told, lately or not. Who may not ask for the number, as by the rights of older versions, reads them all.
local function known_replicas()
  local known = redis.pcall('HLEN', REPLICAS_KEY)
  return type(known) == 'number' and known or #redis.call('HGETALL', REPLICAS_KEY) / 2
end

-- When the first failure of the report happened.
local function begun_ms_of(r)
  return now - math.floor((r.age_us or 0) / 1000) - 1
end

local function most_load(replicas)
  return math.max(math.floor(DELIVERIES / 2), 8 * replicas)
end

local function lighten(r)
  local per_second = r.witnesses_until_ms > 0 and math.floor(DELIVERIES / 4) or DELIVERIES
  r.load = math.max(0, r.load - math.floor(math.max(0, now - r.load_ms) * per_second / 1000))
  r.load_ms = now
end

-- Witnesses tell from now on, or others than before do. Who they are follows from when their time is over.
local function call_witnesses(r, replicas)
  r.witnesses_until_ms, r.witnesses_of = now + WITNESSES_MS, replicas
  publish('witnesses', r, version())
end

-- The run of failures has begun, or is over, of which all replicas would be told. Those that are gone and not forgotten are
-- looked for when it matters only.
local function turned(r)
  lighten(r)
  if r.witnesses_until_ms > 0 then
    local more = math.floor(r.witnesses_of * math.max(WITNESSES, r.witnesses_of) / WITNESSES)
    r.load = math.min(r.load + more, most_load(r.witnesses_of))
    return
  end
  local known = known_replicas()
  r.load = r.load + math.max(1, known)
  if r.load < most_load(math.max(1, known)) then return end
  local replicas = count_replicas()
  if known > replicas then r.load = math.floor(r.load * replicas / known) end
  if r.load < most_load(replicas) then return end
  r.load = most_load(replicas)
  if replicas < 2 then return end
  call_witnesses(r, replicas)
  if r.failures > 0 then r.begun_ms = begun_ms_of(r) end
end

-- When the time of witnesses is nearly over: there are others while it is still too much for everybody, else none.
local function renew_witnesses(r)
  if r.witnesses_until_ms == 0 then return end
  r.witnesses_until_ms = math.min(r.witnesses_until_ms, now + WITNESSES_MS)  -- a clock may be put back
  if now < r.witnesses_until_ms - EARLY_MS then return end
  local load, load_ms = r.load, r.load_ms
  lighten(r)
  local still = r.load > 0
  r.load, r.load_ms = load, load_ms
  local replicas = still and count_replicas() or 0
  if replicas > 1 then
    call_witnesses(r, replicas)
  elseif now >= r.witnesses_until_ms then
    r.witnesses_until_ms, r.witnesses_of = 0, 0
    without_run(r)
  end
end

-- Somebody had seen a success since the run began.
local function answered(r)
  local again = now < r.ask_at_ms + WITNESSES_MS and r.ask_pause_ms > 0
  local longest = math.max(LONG_ASK_PAUSE_MS, math.min(math.floor(3 * r.witnesses_of / 4), LONGEST_ASK_PAUSE_MS))
  r.ask_pause_ms = again and math.min(2 * r.ask_pause_ms, longest) or ASK_PAUSE_MS
  r.ask_at_ms = now + r.ask_pause_ms
end

-- Milliseconds until the run is old enough, `least` since the fleet was told of it; and what is asked.
local function wait_of(r, least)
  if r.witnesses_until_ms == 0 then return r.run_since_ms + least - now end
  if r.asked_ms == 0 then
    local wait = r.ask_at_ms - now
    if wait > 0 and wait <= LONGEST_ASK_PAUSE_MS then return wait end
    r.asked_ms = now
  end
  return r.asked_ms + least + ANSWERS_MS - now
end
