-- Gives unused points back to the line they came from.
--
-- KEYS     see line.lua; KEYS[3] is set when it has been done: a command that the
--          client library sends twice must not free a point that was handed out
--          again in between. Points are at most a few seconds ahead, so the guard
--          outlives them.
-- ARGV     points (absolute microseconds)
-- result   1, or 0 when it was done before
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', 30) then return 0 end
local free = {}
for _, point in ipairs(ARGV) do
  local t = tonumber(point) - now
  if t >= 0 and t < tat then free[#free + 1] = t end
end
addHoles(free)
return 1
