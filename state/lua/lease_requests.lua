-- lease_requests.lua: how many requests of a rate limit one replica may let in, by state/rate_limits/decide.py.
-- KEYS   hash of the limit: arrival (microseconds), limit (for people), replica:NAME -> when it asked last (milliseconds)
-- ARGV   1 replica  2 limit, for people  3 interval_ns  4 capacity  5 owed  6 wanted  7 alive_ms
-- reply  count, microseconds until there is another (0: there is), replicas that have asked within alive_ms

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now / 1000)
local interval, capacity = tonumber(ARGV[3]), tonumber(ARGV[4])
local owed, wanted, alive = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local function down(number, by) return (number - number % by) / by end
local function time_of(count) return -down(-count * interval, 1000) end
local function whole(number) return string.format('%.0f', number) end

local arrival, kept, gone, replicas = now, {}, false, 1
local read = redis.call('HGETALL', KEYS[1])
for i = 1, #read, 2 do
  local field, value = read[i], read[i + 1]
  if field == 'arrival' then
    arrival = math.max(tonumber(value) or now, now)
  elseif field:sub(1, 8) == 'replica:' and field ~= 'replica:' .. ARGV[1] then
    if now_ms - (tonumber(value) or 0) <= alive then
      replicas = replicas + 1
      kept[#kept + 1] = field
      kept[#kept + 1] = value
    else
      gone = true
    end
  end
end

local full = time_of(capacity)
arrival = math.min(math.max(arrival + time_of(owed), now), now + 2 * full)
local room = down((now + full - arrival) * 1000, interval)
local count = math.max(0, math.min(wanted, room))
arrival = arrival + time_of(count)
local wait = 0
if room <= count then wait = math.max(1, arrival + time_of(1) - full - now) end

local fields = { 'arrival', whole(arrival), 'limit', ARGV[2], 'replica:' .. ARGV[1], whole(now_ms) }
if gone then
  redis.call('DEL', KEYS[1])
  for i = 1, #kept do fields[#fields + 1] = kept[i] end
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('PEXPIREAT', KEYS[1], whole(math.max(math.floor(arrival / 1000), now_ms + alive) + 1000))
return { count, wait, replicas }
