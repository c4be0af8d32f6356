#!lua flags=allow-oom
-- Replaces the state of one lane, if it is still what the caller has read.
--
-- KEYS[1]  lanes of the account: hash lane -> "version state decreased ...", with tabs
--          between them; state is 0 open, 1 slowed, 2 paused, 3 closed; decreased is
--          in ms since 1970
-- ARGV     lane, what was read ('': nothing), what is to be there ('': nothing), time
--          to live of the key (ms), how many lanes there may be
-- result   1, or 0 when another process has changed it
-- A lane that is closed stays until somebody opens it, so its key does not expire.
local key, lane, old, new, life, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if (redis.call('HGET', key, lane) or '') ~= old then return 0 end

local function isClosed(text) return string.match(text, '^%d+\t3\t') ~= nil end

-- drop makes room: a tenth of the lanes go, of the most open ones the oldest.
local function drop()
  local all, order = redis.call('HGETALL', key), {}
  for i = 1, #all, 2 do
    local state, at = string.match(all[i + 1], '^%d+\t(%d)\t(%d+)\t')
    state, at = tonumber(state or 0), tonumber(at or 0)
    if state < 3 then order[#order + 1] = {name = all[i], state = state, at = at} end
  end
  table.sort(order, function(a, b)
    if a.state ~= b.state then return a.state < b.state end
    if a.at ~= b.at then return a.at < b.at end
    return a.name < b.name
  end)
  for i = 1, math.min(#order, math.ceil(most / 10)) do redis.call('HDEL', key, order[i].name) end
end

if new == '' then
  redis.call('HDEL', key, lane)
else
  if old == '' and redis.call('HLEN', key) >= most then drop() end
  redis.call('HSET', key, lane, new)
end

if isClosed(new) then
  redis.call('PERSIST', key)
  return 1
end

local expires = redis.call('PTTL', key) >= 0 or (old == '' and redis.call('HLEN', key) == 1)
if isClosed(old) then
  expires = true
  local all = redis.call('HGETALL', key)
  for i = 2, #all, 2 do
    if isClosed(all[i]) then expires = false end
  end
end
if expires then redis.call('PEXPIRE', key, life) end
return 1
