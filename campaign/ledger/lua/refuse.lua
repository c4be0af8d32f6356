-- refuse: pending, issued -> deferred | bounced | failed | suppressed without
-- a claim: the server refused before the body, or the address is suppressed.
-- A second asking finds the cell changed and does nothing.
--
-- ARGV  2... for each: index, outcome (byte of the state letter), reply,
--       jitter in percent, greylisted (0, 1)
-- Returns for each 1 when it was applied, else 0.
local function refuse(i, outcome, reply, jitter, grey)
  local c = read(i)
  if not c or (c.state ~= PENDING and c.state ~= ISSUED) then return 0 end
  c.silent = 0
  if outcome == SUPPRESSED then
    move(i, c, SUPPRESSED, 0)
  else
    c.attempts = math.min(15, c.attempts + 1)
    finish_attempt(i, c, outcome, jitter, grey, reply)
  end
  return 1
end

local answer = {}
for k = 2, #ARGV, 5 do
  answer[#answer + 1] = refuse(tonumber(ARGV[k]), tonumber(ARGV[k + 1]), ARGV[k + 2], tonumber(ARGV[k + 3]), ARGV[k + 4])
end
return done(answer)
