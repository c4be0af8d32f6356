-- Gives each wished moment a point of every line, each at the moment of the one
-- before it or later, all at most the allowed delay after the wish. The body
-- leaves at the last of them.
--
-- KEYS     see line.lua
-- ARGV     the allowed delay, then for each line its interval and slack (see
--          line.lua), then the wishes (absolute microseconds, ascending)
-- result   {now, next, point or 0 for each wish}, microseconds since 1970; next
--          is the first free point that the first refused wish could have had,
--          or the end of the last line
local delay = tonumber(ARGV[1])
local lines = {}
for n = 1, #KEYS / 2 do lines[n] = open(n, tonumber(ARGV[2 * n]), tonumber(ARGV[2 * n + 1])) end
local follow = follower(lines)

local result = {now, 0}
for i = #KEYS + 2, #ARGV do
  local wish = tonumber(ARGV[i]) - now
  local point, freed = follow(1, wish, wish + delay)
  if point then
    result[#result + 1] = now + point
  else
    result[#result + 1] = 0
    if result[2] == 0 then result[2] = now + math.ceil(freed) end
  end
end

for _, line in ipairs(lines) do
  if line.changed then save(line) end
end
if result[2] == 0 then result[2] = now + math.ceil(lines[#lines].tat) end
return result
