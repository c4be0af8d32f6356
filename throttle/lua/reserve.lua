-- Reserves up to max slots. A slot is a point of the first line before now + lead
-- + window, with a point of each other line at the moment of the one before it or
-- later, all within the allowed delay: the body leaves at the last of them.
--
-- KEYS     see line.lua
-- ARGV     lead, window, max, not before (absolute microseconds; 0: any), the
--          allowed delay, then for each line its interval and slack (see line.lua)
-- result   {now, next, slot...}, microseconds since 1970, slots ascending; next
--          is the first point that a later call can have
local lead, window, max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local delay = tonumber(ARGV[5])
local lines = {}
for n = 1, #KEYS / 2 do lines[n] = open(n, tonumber(ARGV[4 + 2 * n]), tonumber(ARGV[5 + 2 * n])) end
local head = lines[1]

local first, horizon = lead, lead + window
if tonumber(ARGV[4]) > 0 then first = math.max(first, tonumber(ARGV[4]) - now) end

-- candidates are read at once; some of them may not suit the other lines.
local candidates = {}
if first <= horizon then
  local most = max
  if #lines > 1 then most = max + 50 end
  candidates = redis.call('ZRANGEBYSCORE', head.holes, abs(first), abs(horizon), 'LIMIT', 0, most)
end

local result, t = {now, 0}, first
-- Every lane needs some time to come to its body: only then is what it passes
-- worth keeping.
local keep = first > 20000

-- single takes slots where no other line must be asked.
local function single()
  for _, hole in ipairs(candidates) do
    redis.call('ZREM', head.holes, hole)
    result[#result + 1] = tonumber(hole)
    head.changed = true
  end
  local start, interval = math.max(head.tat, t), head.interval
  local n = math.min(max - #candidates, math.floor((horizon - start) / interval) + 1)
  if n <= 0 then return end
  take(head, start, nil, keep)
  for i = 0, n - 1 do result[#result + 1] = now + math.ceil(start + i * interval) end
  head.tat = start + n * interval
end

-- several takes slots that suit all lines.
local function several()
  local follow, refused, c = follower(lines), 0, 1

  -- candidate returns the first free point of the first line from t on.
  local function candidate(t)
    while candidates[c] do
      local point = tonumber(candidates[c]) - now
      if point >= t then return point, candidates[c] end
      c = c + 1
    end
    return math.max(head.tat, t)
  end

  while #result < max + 2 and refused <= 50 do
    local point, hole = candidate(t)
    if point > horizon then return end
    local moment = math.ceil(point)
    local last, freed = follow(2, moment, moment + delay)
    if last then
      take(head, point, hole, keep)
      if hole then c = c + 1 end
      result[#result + 1] = now + last
    else
      refused = refused + 1
      -- Back by the delay, so that the free point is not missed.
      t = math.max(freed - delay, moment + 1)
    end
  end
end

if #lines == 1 then single() else several() end
result[2] = now + math.ceil(math.max(head.tat, t))

for _, line in ipairs(lines) do
  if line.changed then save(line) end
end
return result
