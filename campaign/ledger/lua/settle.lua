-- settle: what became of a claim, by its token. Allowed when Redis is out of
-- memory: finished work is always recorded.
--
--   sending   -> accepted | deferred | bounced | failed | uncertain
--   sending   -> pending (release: not one body byte left; the attempt is not counted)
--   sending   -> suppressed (found with the claim; the attempt is not counted)
--   uncertain -> accepted | bounced (a late reply, by the token that is kept)
--
-- ARGV  2 index  3 token  4 outcome (byte of the state letter, 0 = release)
--       5 reply  6 jitter in percent  7 greylisted (0, 1)  8 delay of a release, seconds
-- Returns 1 when it was applied, 0 when the token holds nothing (any more):
-- asking twice changes nothing.
local i, token, outcome = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local field = part .. ':' .. i
local c = read(i)
if not c then return 0 end
local held = redis.call('HGET', KEYS[4], field)
if held and string.match(held, '^[^ ]+') == token and c.state == SENDING then
  redis.call('HDEL', KEYS[4], field)
  if outcome == PENDING then
    c.attempts = math.max(0, c.attempts - 1)
    move(i, c, PENDING, now + tonumber(ARGV[8]))
  elseif outcome == SUPPRESSED then
    c.attempts = math.max(0, c.attempts - 1)
    move(i, c, SUPPRESSED, 0)
  elseif outcome == UNCERTAIN then
    redis.call('HSET', KEYS[5], field, token)
    remember(i, c, 'uncertain', ARGV[5])
    move(i, c, UNCERTAIN, 0)
  else
    finish_attempt(i, c, outcome, tonumber(ARGV[6]), ARGV[7], ARGV[5])
  end
  return 1
end
if redis.call('HGET', KEYS[5], field) == token and c.state == UNCERTAIN and (outcome == ACCEPTED or outcome == BOUNCED) then
  redis.call('HDEL', KEYS[5], field)
  redis.call('HDEL', KEYS[6], field)
  finish_attempt(i, c, outcome, 100, '0', ARGV[5])
  return 1
end
return 0
