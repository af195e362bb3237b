-- offer.lua: take over an ejection that was decided elsewhere. Specification: state/outlier/decide.py `accept` and, where the cap
-- leaves no room, `giving_way`: younger ejections give way to an older one (two halves of a partition have each used the cap).
-- A hand's ejection stays one of the address, with what the hand said, and the cap does not stop it; it takes the place of an
-- older one, which data from before the hand have brought back.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 Ejection  4 Policy
-- reply  as report.lua: ejected, already_ejected, stale (known and over) or overflow

local offered, policy = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
local left, by = offered.left_ms, offered.by
local probe = offered.probe_in_ms >= 0  -- -1: it comes back by itself
local by_hand = not RULES[offered.reason]

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, offered.workload, '')
if r.left > 0 and not (by_hand and offered.generation > r.generation) then return verdict('already_ejected', r) end
if offered.generation <= r.generation or left <= 0 then return verdict('stale', r) end

-- Ejections by the rule that began after `begun`, the youngest first. What a hand has done stays.
local function younger_than(begun)
  local eject_prefix = string.sub(r.eject_key, 1, -#r.endpoint - 1)
  local hash_prefix = string.sub(r.hash_key, 1, -#r.endpoint - 1)
  local found = {}
  for _, member in ipairs(redis.call('ZRANGE', EJECTED_KEY, 0, -1)) do
    local other = load(member, eject_prefix .. member, hash_prefix .. member)
    other.begun = (other.probe_at_ms > 0 and other.probe_at_ms or other.ejected_until_ms) - other.ejection_ms
    if other.left > 0 and RULES[other.reason] and other.begun > begun then found[#found + 1] = other end
  end
  table.sort(found, function(one, two)
    if one.begun ~= two.begun then return one.begun > two.begun end
    return one.endpoint > two.endpoint
  end)
  return found
end

local function make_room()
  local percent = math.min(100, policy.max_ejection_percent)
  local excess = count_active(r) + 1 - math.floor(percent * policy.endpoints / 100)
  if excess <= 0 then return true end
  local younger = younger_than(now + (probe and offered.probe_in_ms or left) - offered.ejection_ms)
  if #younger < excess then return false end
  for i = 1, excess do
    redis.call('DEL', younger[i].eject_key)
    lifted(younger[i], 'uneject', 'max_ejection_percent', by)
  end
  return true
end

if not by_hand and not make_room() then
  overflowed(r, by)
  save(r)
  return verdict('overflow', r)
end

r.generation, r.consecutive_5xx, r.ejection_ms = offered.generation, offered.failures, offered.ejection_ms
r.ejections, r.backoff = math.max(r.ejections, offered.ejections), math.max(r.backoff, offered.backoff)
r.ejected_until_ms = left >= ENDLESS_MS and FOREVER_MS or now + left
r.probe_at_ms = probe and now + offered.probe_in_ms or 0
r.by, r.reason = by, offered.reason
r.evidence = string.gsub(offered.cause or '', '[%w_]+', function(word) return word .. '@' .. by .. '/-' end)
local workload = r.workload
if by_hand then r.workload = '' end
write_eject_key(r)
mark_ejected(r)
r.workload = workload
log('eject', r, 'offered', by, r.evidence, r.reason ~= 'consecutive_5xx' and r.reason or '')
return verdict('ejected', r)
