#!lua flags=allow-oom
-- Takes one entry of one shard off the list, if it is still the one that was seen, and
-- marks that it was taken off.
--
-- KEYS[1]  hash: field -> value, as add.lua has it
-- ARGV[1]  now, Unix milliseconds
-- ARGV[2]  field
-- ARGV[3]  time, [4] reason, [5] source and [6] run of the entry
-- ARGV[7]  its head in the short form, and [8] what stands there after the address; 7 is
--          empty where there is none
-- ARGV[9]  the reference of the run, and [10] what stands after the address with it
-- returns  1 when it was taken off, 0 when another one or none is there
--
-- The mark is as rm.lua makes it. Atomic because an entry that another road adds in
-- the same moment must stay. Idempotent.
local value = redis.call('HGET', KEYS[1], ARGV[2]) or ''
local at, reason, source, run = string.match(value, '^%d+\t(%d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t')
local same = at == ARGV[3] and reason == ARGV[4] and source == ARGV[5] and (run == ARGV[6] or run == ARGV[9])
if not at then
  local _, head, _, tail = short_form(value)
  same = head and head == ARGV[7] and (tail == ARGV[8] or tail == ARGV[10])
end
if not same then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('1\t%.0f\tremoved', math.max(tonumber(ARGV[1]), time_of(value))))
return 1
