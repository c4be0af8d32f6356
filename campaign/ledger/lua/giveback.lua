-- giveback: issued -> pending, no attempt counted: the worker had no room, the
-- lane closed, the run paused, or the worker stops.
--
-- ARGV  2 delay in seconds  3... indexes
-- Returns how many were given back.
local n = 0
for k = 3, #ARGV do
  local i = tonumber(ARGV[k])
  local c = read(i)
  if c and c.state == ISSUED then
    c.unanswered = 0
    move(i, c, PENDING, now + tonumber(ARGV[2]))
    n = n + 1
  end
end
return done(n)
