-- Gives unused points back to the line they came from: those that are known exactly
-- are free again if their time is still to come. Where the line ends with one and is so
-- slow that waiting for its next point would cost something, the line goes back to
-- it also when its time is over.
--
-- KEYS     see line.lua; KEYS[3] is set when it has been done: a command that the
--          client library sends twice must not free a point that was handed out
--          again in between. The guard outlives any resending.
-- ARGV     interval (see line.lua), early, late, then points (absolute
--          microseconds, ascending). early and late say how exactly they are known:
--          each lies between its moment - early and its moment + late. Those that
--          are not known exactly are free only at the end of the line, and lines on which another
--          point could be so near must not be given any.
-- result   1, or 0 when it was done before
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', 30) then return 0 end
local early, late = tonumber(ARGV[2]), tonumber(ARGV[3])
local line = open(1, tonumber(ARGV[1]), 0, 0, 0, 0)

for i = #ARGV, 4, -1 do
  local t = tonumber(ARGV[i]) - now
  local last = line.tat - line.interval
  if line.interval > 20000 and last > t - early - 1.5 and last < t + late + 0.5 then
    line.tat = last
    line.changed = true
  elseif early + late == 0 and t >= 0 and t < line.tat then
    release(line, t)
  end
end

if line.changed then save(line) end
return 1
