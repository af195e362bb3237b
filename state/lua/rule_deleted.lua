-- rule_deleted.lua: a replica has no rule for the cluster any more. The first to say so leaves an entry in the stream; keys stay
-- until they expire, since another may have the rule still, and then tells it anew.
-- KEYS   ejected, log, version, rule
-- ARGV   1 channel  2 by
-- reply  1 it was the first, 0 it is known

if redis.call('DEL', KEYS[4]) == 0 then return 0 end
local r = { endpoint = '-' }
reset(r, '')
log('rule_deleted', r, 'rule_deleted', ARGV[2])
return 1
