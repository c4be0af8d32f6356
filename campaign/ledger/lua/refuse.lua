-- refuse: pending, issued -> deferred | bounced | failed | suppressed without
-- a claim: the server refused before the body, or the address is suppressed.
-- A second asking finds the cell changed and does nothing.
--
-- ARGV  2 index, 3 outcome (byte of the state letter), 4 reply, 5 jitter in
--       percent, 6 greylisted (0, 1)
-- Returns 1 when it was applied, else 0.
local i, outcome = tonumber(ARGV[2]), tonumber(ARGV[3])
local c = read(i)
if not c or (c.state ~= PENDING and c.state ~= ISSUED) then return 0 end
c.unanswered = 0
if outcome == SUPPRESSED then
  move(i, c, SUPPRESSED, 0)
else
  c.attempts = math.min(15, c.attempts + 1)
  finish_attempt(i, c, outcome, tonumber(ARGV[5]), ARGV[6], ARGV[4])
end
return done(1)
