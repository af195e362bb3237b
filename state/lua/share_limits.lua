-- share_limits.lua: which share of a cluster's limits one replica gets, by state/shares/decide.py.
-- KEYS   hash of the cluster's limits: replica:NAME -> "at=MS turn=N active=N KIND=HELD/NEEDS ...", asked, back, settled (ms)
-- ARGV   1 replica  2 turn  3 active  4 budget, or -1  5 alive_ms  6 silence_ms  7 settle_ms  8 slices
--        then for each limit: its name, limit, held, needs
-- reply  turn, replicas, and the shares in that order; turn, replicas alone: ask again, with that turn

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local replica, turn, active, budget = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local alive, silence, settle, slices = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local function whole(number) return string.format('%.0f', number) end
local function named(text, name) return tonumber(string.match(text, name .. '=(%d+)')) or 0 end

local kinds, limits, mine, lost = {}, {}, {}, false
for i = 9, #ARGV, 4 do
  local kind = ARGV[i]
  kinds[#kinds + 1] = kind
  limits[kind] = tonumber(ARGV[i + 1])
  mine[kind] = { held = tonumber(ARGV[i + 2]), needs = tonumber(ARGV[i + 3]) }
  lost = lost or mine[kind].held > 0
end

local texts, about = {}, {}
local read = redis.call('HGETALL', KEYS[1])
for i = 1, #read, 2 do
  local name = string.match(read[i], '^replica:(.*)$')
  if name then
    texts[name] = read[i + 1]
  else
    about[read[i]] = tonumber(read[i + 1]) or 0
  end
end
lost = lost and next(texts) == nil
local asked, back, settled = about.asked or 0, about.back or 0, about.settled or 0
if asked > 0 and now - asked > silence then back = now end
if lost then settled = now + settle end

local known, before, gone, names = {}, texts[replica], {}, { replica }
texts[replica] = nil
for name, text in pairs(texts) do
  if now - math.max(named(text, 'at'), back) > alive then
    gone[#gone + 1] = 'replica:' .. name
  else
    local claims = {}
    for _, kind in ipairs(kinds) do
      local held, needs = string.match(text, kind .. '=(%d+)/(%d+)')
      claims[kind] = { held = tonumber(held) or 0, needs = tonumber(needs) or 0 }
    end
    known[name] = { active = named(text, 'active'), claims = claims }
    names[#names + 1] = name
  end
end
table.sort(names)
known[replica] = { active = active, claims = mine }

local again = before and named(before, 'turn') ~= turn
if before then turn = named(before, 'turn') end
turn = turn + 1

-- Of retries under a budget each replica has what its own requests allow; the rest is shared.
local function limit_of(kind)
  if budget < 0 or kind ~= 'retries' then return limits[kind] end
  local all, own = 0, 0
  for _, name in ipairs(names) do
    all = all + known[name].active
    own = own + math.floor(budget * known[name].active / 10000)
  end
  return math.max(math.floor(budget * all / 10000), limits[kind]) - own
end

local function level_of(limit, needs)
  local level, over
  table.sort(needs)
  for index, need in ipairs(needs) do
    local left = #needs - index + 1
    level, over = math.floor(limit / left), limit % left
    if need > level then break end
    limit = limit - need
  end
  return level, over
end

local function target(kind, limit)
  local needs, sorted, spare = {}, {}, limit
  for _, name in ipairs(names) do
    needs[name] = math.min(known[name].claims[kind].needs, limit)
    sorted[#sorted + 1] = needs[name]
    spare = spare - needs[name]
  end
  local function among(count, chosen)
    for _, name in ipairs(names) do
      if chosen(needs[name]) then
        count = count - 1
        if name == replica then return count >= 0 end
      end
    end
    return false
  end
  if spare >= 0 then
    local more = math.floor(spare / (2 * #names))
    if more == 0 and among(spare, function(need) return need == 0 end) then more = 1 end
    return needs[replica] + more
  end
  local level, over = level_of(limit, sorted)
  if needs[replica] <= level then return needs[replica] end
  return among(over, function(need) return need > level end) and level + 1 or level
end

local function share_of(kind)
  local limit, held = limit_of(kind), mine[kind].held
  local room = limit
  for _, name in ipairs(names) do room = room - known[name].claims[kind].held end
  if now < settled then room = math.min(room, math.max(1, math.floor(limit / slices)) - held) end
  local wanted = target(kind, limit)
  if wanted <= held then return wanted end
  return held + math.max(0, math.min(wanted - held, room))
end

local reply = { turn, #names }
local text = 'at=' .. whole(now) .. ' turn=' .. whole(turn) .. ' active=' .. whole(active)
local shares = {}
if not again then
  for _, kind in ipairs(kinds) do shares[kind] = share_of(kind) end
end
for _, kind in ipairs(kinds) do
  local held = mine[kind].held
  if again then
    held = math.max(held, tonumber(string.match(before, kind .. '=(%d+)/')) or 0)
  else
    reply[#reply + 1] = shares[kind]
    held = math.max(held, shares[kind])
  end
  text = text .. ' ' .. kind .. '=' .. whole(held) .. '/' .. whole(mine[kind].needs)
end

if #gone > 0 then redis.pcall('HDEL', KEYS[1], unpack(gone)) end  -- they count no more, also where it is not allowed
redis.call('HSET', KEYS[1], 'asked', whole(now), 'back', whole(back), 'settled', whole(settled), 'replica:' .. replica, text)
redis.call('PEXPIREAT', KEYS[1], whole(now + 6 * alive))
return reply
