-- Gives each wished moment a point of every line, all at most the allowed delay after
-- the wish, as many as the quotas leave. The body leaves when all lines are ready.
--
-- KEYS     see line.lua and quota.lua
-- ARGV     see quota.lua; then the allowed delay, how many messages of high priority
--          wait (-1: a body waits, whatever it is), then the wishes (absolute
--          microseconds, ascending)
-- result   see limits.lua; a slot or 0 for each wish. next is the first free one
--          that the first refused wish could have had, or the end of the last line
local delay, urgent = tonumber(ARGV[own + 1]), tonumber(ARGV[own + 2])
local first = own + 3
local slots, next, taken = {}, 0, 0

local rest, spent, ends = math.huge, 0, 0
if #ARGV >= first then
  rest, spent, ends = allowance(tonumber(ARGV[first]) - now, tonumber(ARGV[#ARGV]) - now + delay)
end
if urgent == 0 and heldUntil() > 0 then rest = 0 end

local wishes, even = {}, true
for i = first, #ARGV do
  local wish = tonumber(ARGV[i]) - now
  if #wishes > 0 and wish - wishes[#wishes] < apart then even = false end
  wishes[#wishes + 1] = wish
end

local function grant(body, n)
  takeAll(body, n)
  taken = taken + n
end

-- All together where that is possible: of fast lines a row costs no more than a slot.
if even and #wishes > 1 and #wishes <= rest and wishes[1] >= earliest and wishes[#wishes] <= latest
  and meet(wishes[1], wishes[1]) and fit(wishes[1], wishes[#wishes], #wishes) then
  grant(wishes[1], #wishes)
  for i, wish in ipairs(wishes) do slots[i] = now + wish end
end

for i = #slots + 1, #wishes do
  local wish, limit, body, free = math.max(wishes[i], earliest), math.min(wishes[i] + delay, latest), nil, nil
  if taken < rest and wish <= limit then body, free = meet(wish, limit) end
  if body then grant(body, 1) end
  slots[i] = body and now + body or 0
  if free and next == 0 then next = now + free end
end

if urgent > taken and taken < #wishes and taken < rest then
  hold(wishes[1], true)
elseif urgent > 0 and urgent <= taken then
  letGo()
end

if urgent == 0 and heldUntil() > 0 then next = now + heldUntil() end
if next == 0 then next = now + math.ceil(#lines > 0 and lines[#lines].tat or 0) end
return answer(next, spent, ends, slots, taken)
