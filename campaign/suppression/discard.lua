#!lua flags=allow-oom
-- Takes entries of one shard off the list that replies in one lane have caused, and
-- marks that it did.
--
-- KEYS[1]  hash: field -> value, as add.lua has it
-- ARGV[1]  now, Unix milliseconds
-- ARGV[2]  reason, and [3] source, of those that are taken off
-- ARGV[4]  lane
-- ARGV     then for each entry: field, its time, its run
-- returns  for each entry: 1 when it was taken off now, 2 when it was discarded before
--          and is not on the list, 0 when it is another one or somebody removed it
--
-- The mark is as rm.lua makes it. Atomic because an entry that another road adds in
-- the same moment must stay. Idempotent.
local out = {}
for i = 5, #ARGV, 3 do
  local field, at, run = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local value = redis.call('HGET', KEYS[1], field) or ''
  local found, reason, source, of, lane =
    string.match(value, '^%d+\t(%d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t[^\t]*\t([^\t]*)')
  local done = 0
  if found == at and reason == ARGV[2] and source == ARGV[3] and of == run and lane == ARGV[4] then
    redis.call('HSET', KEYS[1], field, string.format('1\t%.0f\tdiscarded', math.max(tonumber(ARGV[1]), tonumber(at))))
    done = 1
  else
    local mark = tonumber(string.match(value, '^1\t(%d+)\tdiscarded') or '')
    if mark and mark >= tonumber(at) then
      done = 2
    end
  end
  out[#out + 1] = done
end
return out
