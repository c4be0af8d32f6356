-- take: gives out messages that are due, each to one process at a time.
--
-- KEYS[1]  due: id -> when it is taken next (a sorted set)
-- ARGV[1]  now, [2] when they are taken again by others, Unix milliseconds
-- ARGV[3]  how many at most
--
-- Result: their ids.
--
-- Atomic, so that two processes do not get the same message. It saves work and protects
-- nothing: that is for the claim.
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], ARGV[2], id)
end
return ids
