-- settle: what became of a claim, by its token. Allowed when Redis is out of
-- memory: finished work is always recorded.
--
--   sending   -> accepted | deferred | bounced | failed | uncertain
--   sending   -> deferred (uncertain, under on_uncertain: resend)
--   sending   -> pending (release: not one body byte left; the attempt is not counted)
--   sending   -> suppressed (found with the claim; the attempt is not counted)
--   uncertain -> accepted | bounced (a late reply, by the token that is kept;
--                also while the next try of a resend has not been claimed)
--
-- ARGV  2... for each: index, token, outcome (byte of the state letter, 0 =
--       release), reply, jitter in percent, greylisted (0, 1), delay of a
--       release in seconds
-- Returns for each 1 when it was applied, 0 when the token holds nothing (any
-- more): asking twice changes nothing.
local function settle(i, token, outcome, reply, jitter, grey, delay)
  local field = part .. ':' .. i
  local c = read(i)
  if not c then return 0 end
  local held = redis.call('HGET', KEYS[4], field)
  if held and string.match(held, '^[^ ]+') == token and c.state == SENDING then
    redis.call('HDEL', KEYS[4], field)
    if outcome == PENDING then
      c.attempts = math.max(0, c.attempts - 1)
      move(i, c, PENDING, now + delay)
    elseif outcome == SUPPRESSED then
      c.attempts = math.max(0, c.attempts - 1)
      move(i, c, SUPPRESSED, 0)
    elseif outcome == UNCERTAIN then
      doubt(i, c, token, reply)
    else
      finish_attempt(i, c, outcome, jitter, grey, reply)
    end
    return 1
  end
  if (outcome == ACCEPTED or outcome == BOUNCED) and liftable(i, c, token) then
    lift(i, c, outcome, reply)
    return 1
  end
  return 0
end

local answer = {}
for k = 2, #ARGV, 7 do
  answer[#answer + 1] = settle(tonumber(ARGV[k]), ARGV[k + 1], tonumber(ARGV[k + 2]), ARGV[k + 3],
    tonumber(ARGV[k + 4]), ARGV[k + 5], tonumber(ARGV[k + 6]))
end
return done(answer)
