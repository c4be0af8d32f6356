-- Beginning of every slot script: reads one line of slots.
--
-- KEYS[1]  the line: "tat at slack". tat: next free point; at: Redis time of the
--          last write; both microseconds since 1970. slack: the longest delay, in
--          microseconds, with which a point of this line may be used.
-- KEYS[2]  holes: sorted set of free points before tat (member = score = time)
--
-- All times below are relative to now, so that doubles hold them exactly.
-- Atomic because a point must be handed out once.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local tat, slack = 0, 0

local function abs(t)
  return string.format('%.0f', now + math.ceil(t))
end

do
  local stored = redis.call('GET', KEYS[1])
  if stored then
    local a, b, c = string.match(stored, '^(%d+) (%d+) (%d+)$')
    if a then
      local at = tonumber(b)
      slack = tonumber(c)
      if now < at then
        -- The clock stepped back: what was in front then is at most what is
        -- in front now. The holes are times of the other clock.
        tat = tonumber(a) - at
        redis.call('DEL', KEYS[2])
      else
        tat = tonumber(a) - now
      end
    end
  end
  if tat < 0 then tat = 0 end
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. abs(0))
end

local function save()
  redis.call('SET', KEYS[1], abs(tat) .. ' ' .. abs(0) .. ' ' .. string.format('%.0f', slack), 'EX', 172800)
end

-- addHoles frees points (relative times); they are of no use after a minute.
local function addHoles(points)
  for i = 1, #points, 500 do
    local args = {}
    for j = i, math.min(i + 499, #points) do
      local t = abs(points[j])
      args[#args + 1] = t
      args[#args + 1] = t
    end
    redis.call('ZADD', KEYS[2], unpack(args))
  end
  if #points > 0 then redis.call('EXPIRE', KEYS[2], 60) end
end

-- skip returns the first point of the line, from tat on, that has no successor
-- at or before t, and the points that it passed: all of them up to 500, else every
-- second, third, ... so that a fast line in little use costs no more.
local function skip(t, interval)
  local n = math.max(math.floor((t - tat) / interval), 0)
  local every, passed = math.ceil(n / 500), {}
  for i = 0, n - 1, math.max(every, 1) do passed[#passed + 1] = tat + i * interval end
  return tat + n * interval, passed
end
