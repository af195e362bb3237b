-- look.lua: what there is to know of some endpoints, for people. Changes nothing.
-- KEYS   ejected, log, version, then for each endpoint: eject key, endpoint hash
-- ARGV   1 channel
-- reply  time in ms, version, then for each endpoint: {PTTL of its eject key, the key's text, the hash's names and values,
--        whether a replica has it in the cluster: 1, 0, -1 when no replica has told lately}

local views, seen = views_but(''), {}
for i = 4, #KEYS, 2 do
  local text = redis.pcall('GET', KEYS[i])
  if type(text) ~= 'string' then text = '' end
  local record = redis.pcall('HGETALL', KEYS[i + 1])
  if record.err then record = {} end
  local endpoint = string.sub(KEYS[i], #CLUSTER_KEYS + #'eject:' + 1)
  local has = #views == 0 and -1 or in_one_of(views, endpoint) and 1 or 0
  seen[#seen + 1] = { redis.call('PTTL', KEYS[i]), text, record, has }
end

return { whole(now), version(), seen }
