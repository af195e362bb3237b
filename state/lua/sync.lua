-- sync.lua: the whole state of some endpoints; brings records into line with keys that were set or deleted by hand.
-- KEYS   ejected, log, version, epoch, rule, then for each endpoint: eject key, endpoint hash
-- ARGV   1 channel  2 epoch to use if there is none, or if data was lost  3, 4 epoch and version that the caller has known
--        5 the rule in force, as text for people  6 View of the caller, '' for none, with the workloads of the endpoints that
--        follow, in the order of their keys. A cluster that is read in parts is told of when all of it is there
-- reply  version, epoch, time in ms,
--        ejections: {endpoint, workload, left_ms, ejection_ms, generation, failures, ejections, backoff, probe_in_ms, by,
--        reason, cause}...,
--        dirty: {endpoint, failures}..., generations: {endpoint, generation}..., 1 if it was this call that found older data,
--        the rule that was in force before, '' if it was the same or nobody had told of any

redis.call('SET', KEYS[4], ARGV[2], 'NX')
local before = ''
if ARGV[5] ~= '' then
  local told = redis.pcall('GET', KEYS[5])
  if type(told) == 'string' and told ~= ARGV[5] then before = told end
  redis.call('SET', KEYS[5], ARGV[5], 'PX', whole(RULE_MS))
end
-- The same epoch, yet versions that somebody has seen are gone (a failover that lost the last writes): as good as another
-- server. A new epoch, so that every replica learns of it even when new changes have made up for the lost numbers.
local gone_back = redis.call('GET', KEYS[4]) == ARGV[3] and version() < number(ARGV[4])
if gone_back then redis.call('SET', KEYS[4], ARGV[2]) end

local view = ARGV[6] ~= '' and cmsgpack.unpack(ARGV[6])
if view then
  local key = CLUSTER_KEYS .. 'view:' .. view.name
  for endpoint, workload in pairs(view.workloads) do redis.call('HSET', key, endpoint, workload) end
  if #redis.call('HGETALL', key) >= 2 * view.size then tell(view.replica, view.name, view.for_ms) end
  drop_the_gone()
end

local ejections, dirty, generations = {}, {}, {}
for i = 7, #ARGV do
  local at = 6 + (i - 7) * 2
  local r = load(ARGV[i], KEYS[at], KEYS[at + 1])
  if view then read_by(r, view.workloads[r.endpoint] or '', view.replica) end
  if r.left > 0 then
    ejections[#ejections + 1] = {
      r.endpoint, r.workload, r.left, r.ejection_ms, r.generation, r.consecutive_5xx, r.ejections, r.backoff,
      probe_in(r), r.by, r.reason, cause_of(r),
    }
  end
  if told(r) then dirty[#dirty + 1] = { r.endpoint, r.failures } end
  if r.generation > 0 then generations[#generations + 1] = { r.endpoint, r.generation } end
end

return { version(), redis.call('GET', KEYS[4]), now, ejections, dirty, generations, gone_back and 1 or 0, before }
