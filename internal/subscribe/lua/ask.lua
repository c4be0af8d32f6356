-- ask: counts a request, and puts its message into the outbox.
--
-- KEYS[1]  times of messages to the address, the newest first (a list)
-- KEYS[2]  times of requests from the network, the newest first (a list)
-- KEYS[3]  outbox: token -> when it is sent next (a sorted set)
-- ARGV[1]  now, Unix milliseconds
-- ARGV[2]  milliseconds between two messages to the address, [3] messages in a day
-- ARGV[4]  requests from the network in an hour; 0: they are not counted
-- ARGV[5]  the token; '' when the caller sends the message itself
-- ARGV[6]  how many messages the outbox holds at most
--
-- Result: what became of it, and for how many milliseconds that stays so:
--   0 the message is in the outbox; 1 the network has asked too often; 2 the address has
--   got too many; 3 the outbox is full. Only 0 counts for the address.
--
-- Atomic, so that two requests at the same moment are one too many for a limit that has
-- room for one; and so that a message which was counted is in the outbox.
local now = tonumber(ARGV[1])
local hour = 3600000
local day = 24 * hour

-- over returns how long a limit of so many in a window is in the way; 0: it is not.
local function over(key, most, window, every)
  local times = redis.call('LRANGE', key, 0, most - 1)
  local wait = 0
  if #times >= 1 then
    wait = math.max(wait, tonumber(times[1]) + every - now)
  end
  if #times >= most then
    wait = math.max(wait, tonumber(times[most]) + window - now)
  end
  return math.min(wait, window) -- also when the clock was set back
end

local function count(key, most, window)
  redis.call('LPUSH', key, ARGV[1])
  redis.call('LTRIM', key, 0, most - 1)
  redis.call('PEXPIRE', key, window)
end

if ARGV[5] ~= '' and redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[6]) then
  return {3, 60000}
end

local fromNetwork = tonumber(ARGV[4])
if fromNetwork > 0 then
  local wait = over(KEYS[2], fromNetwork, hour, 0)
  if wait > 0 then
    return {1, wait}
  end
  count(KEYS[2], fromNetwork, hour)
end

local perDay = tonumber(ARGV[3])
local wait = over(KEYS[1], perDay, day, tonumber(ARGV[2]))
if wait > 0 then
  return {2, wait}
end
count(KEYS[1], perDay, day)
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[3], now, ARGV[5])
end
return {0, 0}
