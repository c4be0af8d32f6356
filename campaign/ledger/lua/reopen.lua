-- reopen: failed -> pending, no attempt counted, in a run that is not over: a
-- guard has stopped the run, and these failures are what it was stopped for.
-- The last reply stays, for operators to read.
--
-- ARGV  2... indexes
-- Returns how many were reopened.
if run_state == 'finished' or run_state == 'cancelled' then return 0 end
local n = 0
for k = 2, #ARGV do
  local i = tonumber(ARGV[k])
  local c = read(i)
  if c and c.state == FAILED then
    c.attempts = math.max(0, c.attempts - 1)
    move(i, c, PENDING, now)
    n = n + 1
  end
end
return done(n)
