-- Gives each wished moment a point of the line at that moment or at most slack
-- later.
--
-- KEYS     see line.lua
-- ARGV     interval (microseconds, with fraction), the allowed delay, then the
--          wishes (absolute microseconds, ascending)
-- result   {now, next, point or 0 for each wish}, microseconds since 1970; next
--          is the first free point that the first refused wish could have had,
--          or the end of the line
local interval, delay = tonumber(ARGV[1]), tonumber(ARGV[2])
local result, found = {now, 0}, false

for i = 3, #ARGV do
  local wish = tonumber(ARGV[i]) - now
  local point = 0
  local hole = redis.call('ZRANGEBYSCORE', KEYS[2], abs(wish), abs(wish + delay), 'LIMIT', 0, 1)[1]
  if hole then
    redis.call('ZREM', KEYS[2], hole)
    point = tonumber(hole)
  elseif tat <= wish + delay then
    local p, passed = skip(wish, interval)
    if p < wish then
      if p + interval <= wish + delay then
        passed[#passed + 1] = p
        p = p + interval
      else
        p = wish -- leaves the raster: less than one interval is lost
      end
    end
    addHoles(passed)
    point = now + math.ceil(p)
    tat = p + interval
  elseif result[2] == 0 then
    local free = redis.call('ZRANGEBYSCORE', KEYS[2], abs(wish), '+inf', 'LIMIT', 0, 1)[1]
    if free then result[2] = tonumber(free) end
  end
  if point > 0 then found = true end
  result[#result + 1] = point
end

if found then save() end
if result[2] == 0 then result[2] = now + math.ceil(tat) end
return result
