#!lua flags=allow-oom
-- Adds suppression entries to one shard.
--
-- KEYS[1]  hash: field -> value; a value begins with its expiry in Unix
--          milliseconds (0 is never) and a tab
-- ARGV[1]  now, Unix milliseconds
-- ARGV     then for each entry: field, expiry, value
-- returns  how many addresses were not suppressed before
--
-- Atomic because "keep what holds longer" reads before it writes: of two
-- writers at once neither may shorten what the other acknowledged. Idempotent.
-- Allowed when Redis is out of memory: an unsubscribe must never be refused.
local now = tonumber(ARGV[1])
local added = 0
for i = 2, #ARGV, 3 do
  local field, expires, value = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local old = redis.call('HGET', KEYS[1], field)
  local ends = old and tonumber(string.match(old, '^(%d+)\t') or '')
  local gone = not ends or (ends > 0 and ends <= now)
  if gone then
    added = added + 1
  end
  if gone or (ends > 0 and (expires == 0 or expires > ends)) then
    redis.call('HSET', KEYS[1], field, value)
  end
end
return added
