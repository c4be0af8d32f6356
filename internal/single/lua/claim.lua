-- claim: takes a message for one transaction.
--
-- KEYS[1]  the message (a hash)
-- KEYS[2]  due: id -> when it is taken next (a sorted set)
-- ARGV[1]  id, [2] token, [3] now, [4] when it is uncertain without an outcome, Unix
--          milliseconds
--
-- Result: 1 claimed, also when the same call comes again; 0 another has it, or it is over.
--
-- Atomic: of all who have the message in hand only one may send its body.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'sending' then
  return redis.call('HGET', KEYS[1], 'token') == ARGV[2] and 1 or 0
end
if state ~= 'pending' and state ~= 'deferred' then
  return 0
end

redis.call('HSET', KEYS[1], 'state', 'sending', 'token', ARGV[2], 'changed', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
return 1
