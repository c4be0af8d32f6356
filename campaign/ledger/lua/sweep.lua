-- sweep: pending, issued, deferred -> cancelled, over a range of a cancelled
-- run. Those that are being sent are left to their outcome.
--
-- ARGV  2 first index  3 last index
-- Returns how many were cancelled; -1 when the run is not cancelled.
if run_state ~= 'cancelled' then return -1 end
local n, first, last = 0, tonumber(ARGV[2]), tonumber(ARGV[3])
prefetch(first, last)
for i = first, last do
  local c = read(i)
  if c and (c.state == PENDING or c.state == ISSUED or c.state == DEFERRED) then
    move(i, c, CANCELLED, 0)
    n = n + 1
  end
end
return done(n)
