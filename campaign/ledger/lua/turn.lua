-- turn: the state of a whole run, from one of the states given to another.
-- Allowed when Redis is out of memory: stopping must always be possible.
--
-- KEYS  1 record  2 counts
-- ARGV  1 new state  2 reason  3... states that it may come from
-- Returns the state before; it changed when that is one of those given.
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return '' end
for k = 3, #ARGV do
  if state == ARGV[k] then
    redis.call('HSET', KEYS[1], 'state', ARGV[1], 'reason', ARGV[2])
    local open = redis.call('HGET', KEYS[2], 'open')
    if ARGV[1] == 'cancelled' and (not open or tonumber(open) == 0) or ARGV[1] == 'failed' then
      local clock = redis.call('TIME')
      redis.call('HSET', KEYS[1], 'finished', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
    end
    break
  end
end
return state
