-- lease_by_key.lua: as lease_requests.lua, of many things that count by themselves under one limit.
-- KEYS   hash of the limit: limit (for people), replica:NAME -> when it asked last (milliseconds); then of each: arrival (microseconds)
-- ARGV   1 replica  2 limit, for people  3 interval_ns  4 capacity  5 alive_ms; then for each: owed, wanted
-- reply  replicas that have asked within alive_ms; then for each: count, microseconds until there is another (0: there is)

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now / 1000)
local interval, capacity, alive = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function down(number, by) return (number - number % by) / by end
local function time_of(count) return -down(-count * interval, 1000) end
local function whole(number) return string.format('%.0f', number) end

local replicas = 1
local read = redis.call('HGETALL', KEYS[1])
for i = 1, #read, 2 do
  local field = read[i]
  if field:sub(1, 8) == 'replica:' and field ~= 'replica:' .. ARGV[1] then
    if now_ms - (tonumber(read[i + 1]) or 0) <= alive then
      replicas = replicas + 1
    else
      redis.pcall('HDEL', KEYS[1], field)  -- it counts no more, also where that is not allowed
    end
  end
end
redis.call('HSET', KEYS[1], 'limit', ARGV[2], 'replica:' .. ARGV[1], whole(now_ms))
redis.call('PEXPIREAT', KEYS[1], whole(now_ms + alive + 1000))

local reply, full = { replicas }, time_of(capacity)
for i = 2, #KEYS do
  local owed, wanted = tonumber(ARGV[2 * i + 2]), tonumber(ARGV[2 * i + 3])
  local arrival = math.max(tonumber(redis.call('GET', KEYS[i]) or now) or now, now)
  arrival = math.min(math.max(arrival + time_of(owed), now), now + 2 * full)
  local room = down((now + full - arrival) * 1000, interval)
  local count = math.max(0, math.min(wanted, room))
  arrival = arrival + time_of(count)
  reply[#reply + 1] = count
  reply[#reply + 1] = room > count and 0 or math.max(1, arrival + time_of(1) - full - now)
  redis.call('SET', KEYS[i], whole(arrival), 'PX', whole(math.max(1, math.ceil((arrival - now) / 1000))))
end
return reply
