#!lua flags=allow-oom
-- Takes one entry of one shard off the list, if it is still the one that was seen, and
-- marks that it was taken off.
--
-- KEYS[1]  hash: field -> value, as add.lua has it
-- ARGV[1]  now, Unix milliseconds
-- ARGV[2]  field
-- ARGV[3]  time, [4] reason, [5] source and [6] run of the entry
-- returns  1 when it was taken off, 0 when another one or none is there
--
-- The mark is as rm.lua makes it. Atomic because an entry that another road adds in
-- the same moment must stay. Idempotent.
local value = redis.call('HGET', KEYS[1], ARGV[2]) or ''
local at, reason, source, run = string.match(value, '^%d+\t(%d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t')
if at ~= ARGV[3] or reason ~= ARGV[4] or source ~= ARGV[5] or run ~= ARGV[6] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('1\t%.0f\tremoved', math.max(tonumber(ARGV[1]), tonumber(at))))
return 1
