-- first_seen.lua: for how long the fleet has known a cluster's endpoints, by state/warmup/decide.py.
-- KEYS   hash: "ENDPOINT WORKLOAD" -> "since=MS told=MS"
-- ARGV   1 forget_ms, then for each endpoint: its name, ms since this replica has seen it first
-- reply  ms since the fleet has, in that order

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local forget = tonumber(ARGV[1])

local known, gone = {}, {}
local read = redis.call('HGETALL', KEYS[1])
for i = 1, #read, 2 do
  local since, told = string.match(read[i + 1], '^since=(%d+) told=(%d+)$')
  if since and now - tonumber(told) <= forget then
    known[read[i]] = tonumber(since)
  else
    gone[#gone + 1] = read[i]
  end
end

-- One by one: a script cannot take any number of arguments. Who may not leaves them; they count no more.
for _, name in ipairs(gone) do redis.pcall('HDEL', KEYS[1], name) end
local ages = {}
for i = 2, #ARGV, 2 do
  local since = now - tonumber(ARGV[i + 1])
  since = math.min(since, known[ARGV[i]] or since)
  redis.call('HSET', KEYS[1], ARGV[i], string.format('since=%.0f told=%.0f', since, now))
  ages[#ages + 1] = math.max(0, now - since)
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', now + 2 * forget))
return ages
