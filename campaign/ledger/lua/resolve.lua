-- resolve: uncertain -> accepted | bounced, by what the operator or an event of
-- the provider says.
--
-- ARGV  2 index  3 outcome (byte of the state letter)  4 reply; of an
--       accepted recipient: its pattern  5 what differs
-- Returns 1 when it was applied, 0 when the recipient is not uncertain.
local i, outcome = tonumber(ARGV[2]), tonumber(ARGV[3])
local c = read(i)
if not c or c.state ~= UNCERTAIN then return 0 end
lift(i, c, outcome, ARGV[4], ARGV[5])
accepted = false -- it was accepted earlier than now: the run's pace stays as it is
return done(1)
