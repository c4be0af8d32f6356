-- Gives each wished moment a point of every line, each at the moment of the one
-- before it or later, all at most the allowed delay after the wish, as many as the
-- quotas leave. The body leaves at the last of them.
--
-- KEYS     see line.lua and quota.lua
-- ARGV     see quota.lua; then the allowed delay, then the wishes (absolute
--          microseconds, ascending)
-- result   see limits.lua; a point or 0 for each wish. next is the first free point
--          that the first refused wish could have had, or the end of the last line
local delay = tonumber(ARGV[own + 1])
local follow, points, next, taken = nil, {}, 0, 0

local rest, spent, ends = math.huge, 0, 0
if #ARGV > own + 1 then
  local from, to = tonumber(ARGV[own + 2]) - now, tonumber(ARGV[#ARGV]) - now + delay
  rest, spent, ends = allowance(from, to)
  follow = follower(lines, math.max(from, earliest), to, #ARGV - own + 50)
end

for i = own + 2, #ARGV do
  local wish, point, freed = tonumber(ARGV[i]) - now, nil, nil
  if taken < rest then
    point, freed = follow(1, math.max(wish, earliest), math.min(wish + delay, latest))
  end
  if point and point <= math.min(wish + delay, latest) then
    taken = taken + 1
    points[#points + 1] = now + point
  else
    points[#points + 1] = 0
    if next == 0 and freed then next = now + math.ceil(freed) end
  end
end

if next == 0 then next = now + math.ceil(#lines > 0 and lines[#lines].tat or 0) end
return answer(next, spent, ends, points, taken)
