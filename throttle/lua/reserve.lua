-- Reserves up to max slots, as many as the quotas leave. A slot is a point of the
-- first line before now + lead + window, with a point of each other line at the
-- moment of the one before it or later, all within the allowed delay: the body
-- leaves at the last of them. Without any line it leaves as soon as it can.
--
-- KEYS     see line.lua and quota.lua
-- ARGV     see quota.lua; then lead, window, max, not before (absolute
--          microseconds; 0: any), the allowed delay
-- result   see limits.lua; slots ascending. next is the first point that a later
--          call can have
local lead, window, max = tonumber(ARGV[own + 1]), tonumber(ARGV[own + 2]), tonumber(ARGV[own + 3])
local notBefore, delay = tonumber(ARGV[own + 4]), tonumber(ARGV[own + 5])
local head = lines[1]

local first, horizon = math.max(lead, earliest), math.min(lead + window, latest)
if notBefore > 0 then first = math.max(first, notBefore - now) end

local rest, spent, ends = allowance(lead, lead + window)
max = math.min(max, rest)
if max <= 0 then return answer(ends, spent, ends, {}, 0) end

-- candidates are read at once; some of them may not suit the other lines.
local candidates = {}
if head and first <= horizon then
  local most = max
  if #lines > 1 then most = max + 50 end
  candidates = redis.call('ZRANGEBYSCORE', head.holes, abs(first), abs(horizon), 'LIMIT', 0, most)
end

local slots, t = {}, first
-- Every lane needs some time to come to its body: only then is what it passes
-- worth keeping.
local keep = first > 20000

-- atOnce takes slots where nothing paces them.
local function atOnce()
  if first > horizon then return end
  for i = 1, max do slots[i] = now + math.ceil(first) end
end

-- single takes slots where no other line must be asked.
local function single()
  for _, hole in ipairs(candidates) do
    take(head, tonumber(hole) - now, hole)
    slots[#slots + 1] = tonumber(hole)
  end
  local start, interval = math.max(head.tat, t), head.interval
  local n = math.min(max - #candidates, math.floor((horizon - start) / interval) + 1)
  if n <= 0 then return end
  take(head, start, nil, keep)
  for i = 0, n - 1 do slots[#slots + 1] = now + math.ceil(start + i * interval) end
  head.tat = start + n * interval
  head.mine = math.max(head.mine, head.tat)
end

-- several takes slots that suit all lines.
local function several()
  local follow, refused, c = follower(lines, first, horizon + delay, max + 50), 0, 1

  -- candidate returns the first free point of the first line from t on.
  local function candidate(t)
    while candidates[c] do
      local point = tonumber(candidates[c]) - now
      if point >= t then return point, candidates[c] end
      c = c + 1
    end
    return math.max(head.tat, t)
  end

  while #slots < max and refused <= 50 do
    local point, hole = candidate(t)
    if point > horizon then return end
    local moment = math.ceil(point)
    local last, freed = follow(2, moment, math.min(moment + delay, latest))
    if last then
      take(head, point, hole, keep)
      if hole then c = c + 1 end
      slots[#slots + 1] = now + last
    else
      refused = refused + 1
      -- Back by the delay, so that the free point is not missed.
      t = math.max(freed - delay, moment + 1)
    end
  end
end

if #lines == 0 then atOnce() elseif #lines == 1 then single() else several() end
return answer(now + math.ceil(math.max(head and head.tat or 0, t)), 0, 0, slots, #slots)
