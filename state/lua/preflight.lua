-- preflight.lua: which commands may this user run in scripts? Tries each on a key of its own, of which nothing is left.
-- KEYS   none, so that it runs on every node of a Cluster; on those that do not own the key nothing is done
-- ARGV   1 key  2 channel  then commands, their words separated by blanks; @ stands for the key, # for the channel
-- reply  for each command the error, '' without one

local replies = {}
for i = 3, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[i], '%S+') do
    words[#words + 1] = word == '@' and ARGV[1] or word == '#' and ARGV[2] or word
  end
  local reply = redis.pcall(unpack(words))
  replies[#replies + 1] = type(reply) == 'table' and reply.err or ''
end
return replies
