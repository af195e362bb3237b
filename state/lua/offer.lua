-- offer.lua: take over an ejection that was decided elsewhere. Specification: state/decide.py `accept`.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 workload  4 left_ms  5 ejection_ms  6 generation  7 failures  8 ejections  9 backoff
--        10 probe_in_ms (-1: it comes back by itself)  11 max_ejection_percent  12 endpoints  13 by
-- reply  as report.lua: ejected, already_ejected, stale (known and over) or overflow

local left, generation, by = number(ARGV[4]), number(ARGV[6]), ARGV[13]

local r = load(ARGV[2], KEYS[4], KEYS[5])
identify(r, ARGV[3])
if r.left > 0 then return verdict('already_ejected', r) end
if generation <= r.generation or left <= 0 then return verdict('stale', r) end
if not under_cap(r, number(ARGV[11]), number(ARGV[12])) then
  overflowed(r, by)
  save(r)
  return verdict('overflow', r)
end

r.generation, r.consecutive_5xx, r.ejection_ms = generation, number(ARGV[7]), number(ARGV[5])
r.ejections, r.backoff = math.max(r.ejections, number(ARGV[8])), math.max(r.backoff, number(ARGV[9]))
r.ejected_until_ms = now + left
r.probe_at_ms = number(ARGV[10]) >= 0 and now + number(ARGV[10]) or 0
r.by, r.reason = by, 'consecutive_5xx'
write_eject_key(r)
mark_ejected(r)
log('eject', r, 'offered', by)
return verdict('ejected', r)
