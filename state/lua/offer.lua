-- offer.lua: take over an ejection that was decided elsewhere. Specification: state/decide.py `accept` and, where the cap
-- leaves no room, `giving_way`: younger ejections give way to an older one (two halves of a partition have each used the cap).
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload  4 left_ms  5 ejection_ms  6 generation  7 failures  8 ejections  9 backoff
--        10 max_ejection_percent  11 endpoints  12 by
-- reply  as report.lua: ejected, already_ejected, stale (known and over) or overflow

local left, ejection_ms, generation, by = number(ARGV[4]), number(ARGV[5]), number(ARGV[6]), ARGV[12]
local percent, endpoints = math.min(100, number(ARGV[10])), number(ARGV[11])

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, ARGV[3])
if r.left > 0 then return verdict('already_ejected', r) end
if generation <= r.generation or left <= 0 then return verdict('stale', r) end

-- Ejections by the rule that began after `begun`, the youngest first. What a hand has done stays.
local function younger_than(begun)
  local eject_prefix = string.sub(r.eject_key, 1, -#r.endpoint - 1)
  local hash_prefix = string.sub(r.hash_key, 1, -#r.endpoint - 1)
  local found = {}
  for _, member in ipairs(redis.call('ZRANGE', EJECTED_KEY, 0, -1)) do
    local other = load(member, eject_prefix .. member, hash_prefix .. member)
    other.begun = other.ejected_until_ms - other.ejection_ms
    if other.left > 0 and other.reason == 'consecutive_5xx' and other.begun > begun then found[#found + 1] = other end
  end
  table.sort(found, function(one, two)
    if one.begun ~= two.begun then return one.begun > two.begun end
    return one.endpoint > two.endpoint
  end)
  return found
end

local function lift(other)
  redis.call('DEL', other.eject_key)
  mark_unejected(other)
  other.unejected_at_ms = now
  save(other)
  announce('uneject', other, 'max_ejection_percent')
  log('uneject', other, 'max_ejection_percent', by)
end

local function make_room()
  local excess = count_active(r) + 1 - math.floor(percent * endpoints / 100)
  if excess <= 0 then return true end
  local younger = younger_than(now + left - ejection_ms)
  if #younger < excess then return false end
  for i = 1, excess do lift(younger[i]) end
  return true
end

if not make_room() then
  overflowed(r, by)
  save(r)
  return verdict('overflow', r)
end

r.generation, r.consecutive_5xx, r.ejection_ms = generation, number(ARGV[7]), ejection_ms
r.ejections, r.backoff = math.max(r.ejections, number(ARGV[8])), math.max(r.backoff, number(ARGV[9]))
r.ejected_until_ms = now + left
r.by, r.reason = by, 'consecutive_5xx'
write_eject_key(r)
mark_ejected(r)
log('eject', r, 'offered', by)
return verdict('ejected', r)
