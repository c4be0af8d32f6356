#!lua flags=allow-oom
-- settle: records what became of a message, or when it is tried again.
--
-- KEYS[1]  the message (a hash)
-- KEYS[2]  due: id -> when it is taken next (a sorted set)
-- ARGV[1]  id, [2] token of the claim; '' without one
-- ARGV[3]  when it is taken next, Unix milliseconds; '' for an outcome that is final
-- ARGV[4...] fields and values that change
--
-- Result: 1 recorded; 0 it is not for this caller to say: another has claimed the message,
-- or its outcome is known.
--
-- Atomic: an outcome takes the message out of the queue, and its content with it.
-- Allowed when Redis is out of memory: it records what has happened already.
local state = redis.call('HGET', KEYS[1], 'state')
local mine = redis.call('HGET', KEYS[1], 'token') == ARGV[2]
if not (state == 'pending' or state == 'deferred' or mine and (state == 'sending' or state == 'uncertain')) then
  return 0
end

-- An uncertain message has lost its content: it can be lifted, and not tried again.
if state == 'uncertain' and ARGV[3] ~= '' then
  return 0
end

redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'content')
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
end
return 1
