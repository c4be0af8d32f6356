-- put: stores a message, unless its id is known.
--
-- KEYS[1]  the message (a hash)
-- KEYS[2]  due: id -> when it is taken next (a sorted set)
-- KEYS[3]  ids for the address, the newest first (a list)
-- ARGV[1]  id, [2] when it is taken first, Unix milliseconds
-- ARGV[3]  how many messages wait at most
-- ARGV[4]  for how many milliseconds it is kept
-- ARGV[5]  a word of this call, which tells it from another one for the same id
-- ARGV[6...] fields and values of the message
--
-- Result: 1 stored, also when the same call comes again; 0 the id is known; -1 too many
-- messages wait.
--
-- Atomic, so that of two requests with one key only one makes a message, and a message
-- that is stored is due.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'made') == ARGV[5] and 1 or 0
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return -1
end

redis.call('HSET', KEYS[1], 'made', ARGV[5], unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('LPUSH', KEYS[3], ARGV[1])
redis.call('LTRIM', KEYS[3], 0, 99)
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
