-- turn: the state of a whole run, from one of the states given to another.
-- Allowed when Redis is out of memory: stopping must always be possible.
--
-- KEYS  1 record  2 counts
-- ARGV  1 new state  2 reason  3... states that it may come from
-- Returns the state before; it changed when that is one of those given.
--
-- That a run was stopped is also written down as turn:<number> in the record, for those
-- who tell others (the last 16): it may go on before anybody has looked.
local function now_ms()
  local clock = redis.call('TIME')
  return tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
end

local state = redis.call('HGET', KEYS[1], 'state')
if not state then return '' end
for k = 3, #ARGV do
  if state == ARGV[k] then
    redis.call('HSET', KEYS[1], 'state', ARGV[1], 'reason', ARGV[2])
    local open = redis.call('HGET', KEYS[2], 'open')
    if ARGV[1] == 'cancelled' and (not open or tonumber(open) == 0) or ARGV[1] == 'failed' then
      redis.call('HSET', KEYS[1], 'finished', now_ms())
    end
    if ARGV[1] == 'paused' or ARGV[1] == 'held' then
      local n = redis.call('HINCRBY', KEYS[1], 'turns', 1)
      local at = string.format('%d', now_ms())
      redis.call('HSET', KEYS[1], string.format('turn:%d', n), at .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
      redis.call('HDEL', KEYS[1], string.format('turn:%d', n - 16))
    end
    break
  end
end
return state
