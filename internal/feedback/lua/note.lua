#!lua flags=allow-oom
-- note: what came by which road, and that it was seen.
--
-- KEYS  1 set of what was seen today  2 counts of today  3 counts of all time: "road TAB
--       class" -> how many  4 list of what no one understood or trusted, the newest first
-- ARGV  1 how long 1 and 2 are kept, ms  2 how many are seen at most  3 how many roads and
--       classes are counted at most  4 how many the list keeps
--       for each: name, empty when it has none; road TAB class; line of the list, empty
--       for none
-- Returns how many were new.
--
-- Atomic so that what has a name counts once. Allowed when Redis is out of memory:
-- what was recorded must not come again and again.
local new, full = 0, redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2])

local function count(key, field)
  if redis.call('HEXISTS', key, field) == 0 and redis.call('HLEN', key) >= tonumber(ARGV[3]) then
    field = 'others\tother'
  end
  redis.call('HINCRBY', key, field, 1)
end

for k = 5, #ARGV, 3 do
  local name = ARGV[k]
  local known
  if name ~= '' and full then
    known = redis.call('SISMEMBER', KEYS[1], name) == 1
  elseif name ~= '' then
    known = redis.call('SADD', KEYS[1], name) == 0
  end
  if not known then
    new = new + 1
    count(KEYS[2], ARGV[k + 1])
    count(KEYS[3], ARGV[k + 1])
    if ARGV[k + 2] ~= '' then redis.call('LPUSH', KEYS[4], ARGV[k + 2]) end
  end
end
redis.call('LTRIM', KEYS[4], 0, tonumber(ARGV[4]) - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return new
