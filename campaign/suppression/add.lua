#!lua flags=allow-oom
-- Adds suppression entries to one shard.
--
-- KEYS[1]  hash: field -> value; a value begins with its expiry in Unix
--          milliseconds (0 is never, 1 marks a removal), a tab and its time
-- ARGV[1]  now, Unix milliseconds
-- ARGV[2]  what the field "version" becomes, so that who has read the whole hash
--          sees that it has changed; '' where no one does
-- ARGV[3]  add; replay: entries that were acknowledged before, which do not
--          come back where a later removal stands; or count: change nothing
-- ARGV     then for each entry: field, expiry, time, value
-- returns  how many addresses were not suppressed before
--
-- Atomic because "keep what holds longer" reads before it writes: of two
-- writers at once neither may shorten what the other acknowledged, and because no
-- entry may be there without its version. Idempotent.
-- An entry that a reply in one lane has caused loses the name of the lane when it is
-- added by another road too: then discard.lua leaves it in place. An unsubscribe gives
-- way to an entry for another reason that holds as long, so that undo.lua cannot take
-- back, with the unsubscribe, what a complaint said.
-- Allowed when Redis is out of memory: an unsubscribe must never be refused.

-- lane_of returns the lane that a value names, and the value without it; nil for none.
local function lane_of(value)
  local head, lane, rest = string.match(value, '^(%d+\t%-?%d+\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t([^\t]*)(.*)$')
  if not lane or lane == '' then return nil end
  return lane, rest == '' and head or head .. '\t' .. rest
end

local now, version, how = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local added = 0
for i = 4, #ARGV, 4 do
  local field, expires, at, value = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3]
  -- Most are new, in an import all of them.
  local new = how ~= 'count' and redis.call('HSETNX', KEYS[1], field, value) == 1
  local old = not new and redis.call('HGET', KEYS[1], field) or ''
  local ends = tonumber(string.match(old, '^(%d+)\t') or '')
  local removed = tonumber(string.match(old, '^1\t(%d+)\t') or '')
  if new then
    added = added + 1
  elseif not (how == 'replay' and removed and removed >= at) then
    local gone = not ends or (ends > 0 and ends <= now)
    if gone then
      added = added + 1
    end
    local longer = not gone and ends > 0 and (expires == 0 or expires > ends)
    local firmer = not gone and expires == ends and is_unsubscribe(old) and not is_unsubscribe(value)
    if how ~= 'count' and (gone or longer or firmer) then
      redis.call('HSET', KEYS[1], field, value)
    elseif how ~= 'count' then
      local lane, head = lane_of(old)
      if lane and lane ~= lane_of(value) then
        redis.call('HSET', KEYS[1], field, head)
      end
    end
  end
end
if version ~= '' and how ~= 'count' then
  redis.call('HSET', KEYS[1], 'version', version)
end
return added
