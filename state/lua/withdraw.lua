-- withdraw.lua: the server has gone back to older data, and with them to an ejection that is known to be over.
-- KEYS   ejected, log, version, eject key, endpoint hash
-- ARGV   1 channel  2 endpoint  3 generation of the ejection  4 by
-- reply  1 withdrawn, 0 there is another one, or none

local r = load(ARGV[2], KEYS[4], KEYS[5])
if r.left == 0 or r.generation ~= number(ARGV[3]) then return 0 end
redis.call('DEL', r.eject_key)
lifted(r, 'uneject', 'restored_from_old_data', ARGV[4])
return 1
