#!lua flags=allow-oom
-- Takes entries of one shard off the list, and marks that they were.
--
-- KEYS[1]  hash: field -> value, as add.lua has it
-- ARGV[1]  now, Unix milliseconds
-- ARGV[2]  what the field "version" becomes; '' where no one reads it, see add.lua
-- ARGV     then fields
-- returns  how many entries there were
--
-- The mark looks like an entry that has expired, so that no look-up needs to
-- know it. Its time is not before that of the entry that it removes, whatever
-- the clocks say: else a replay would bring that entry back. Atomic for the
-- same reason. Idempotent.
local now = tonumber(ARGV[1])
local removed = 0
for i = 3, #ARGV do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  if old and string.sub(old, 1, 2) ~= '1\t' then
    local at = time_of(old)
    redis.call('HSET', KEYS[1], ARGV[i], string.format('1\t%.0f\tremoved', math.max(now, at)))
    removed = removed + 1
  end
end
if ARGV[2] ~= '' and removed > 0 then
  redis.call('HSET', KEYS[1], 'version', ARGV[2])
end
return removed
