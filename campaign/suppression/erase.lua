#!lua flags=allow-oom
-- Takes the address out of entries of one shard, which hold as before, and what a server
-- said, as that may have the address too.
--
-- KEYS[1]  hash: field -> value, as add.lua has it
-- ARGV[1]  what stands in the place of the address, and [2] the same in the short form
-- ARGV     then fields
-- returns  how many entries had the address
--
-- Atomic because an entry that holds longer may be added in the same moment.
-- Idempotent.
local erased = 0
for i = 3, #ARGV do
  local value = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  local expires, short_head, who, rest = short_form(value)
  local head, address, tail = string.match(value, '^([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t)([^\t]*)(.*)$')
  if short_head then
    if who ~= ARGV[2] then
      redis.call('HSET', KEYS[1], ARGV[i], expires .. short_head .. ARGV[2] .. rest)
      erased = erased + 1
    end
  elseif head and address ~= ARGV[1] then
    local lane = string.match(tail, '^\t[^\t]*') or ''
    redis.call('HSET', KEYS[1], ARGV[i], head .. ARGV[1] .. lane)
    erased = erased + 1
  end
end
return erased
