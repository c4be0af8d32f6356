-- replay: writes what a worker remembers of its own claims to a Redis that went
-- back in time. Per recipient the last entry that was sent or is open.
-- Accepted and bounced always apply; an open entry takes the claim back under
-- its token; uncertain applies; deferred and failed only to a cell that is
-- pending, issued or claimed by the same worker.
--
-- ARGV  2 index  3 token  4 worker id  5 attempts  6 entry: byte of the state letter, 115 = open
--       7 reply; of an accepted recipient: its pattern  8 jitter  9 what differs
-- Returns 1 when it changed something, else 0.
local i, token, entry = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[6])
local field = part .. ':' .. i
local c = read(i)
if not c or c.state == ACCEPTED or c.state == BOUNCED then return 0 end
-- A late reply settles an uncertain recipient, by the token that is kept.
if c.state == UNCERTAIN and entry == SENDING then return 0 end
local held = redis.call('HGET', KEYS[4], field)
local owner = held and string.match(held, '^([^. ]+)')
local attempts = math.max(c.attempts, tonumber(ARGV[5]))
if entry == ACCEPTED or entry == BOUNCED then
  redis.call('HDEL', KEYS[4], field)
  redis.call('HDEL', KEYS[5], field)
  c.attempts = attempts
  finish_attempt(i, c, entry, 100, '0', ARGV[7], ARGV[9])
elseif entry == SENDING then
  if held and string.match(held, '^[^ ]+') == token and c.state == SENDING then return 0 end
  c.attempts = attempts
  redis.call('HSET', KEYS[4], field, token .. ' ' .. attempts .. ' ' .. now_ms)
  move(i, c, SENDING, 0)
elseif entry == UNCERTAIN then
  if c.state == UNCERTAIN or liftable(i, c, token) then return 0 end
  redis.call('HDEL', KEYS[4], field)
  c.attempts = attempts
  doubt(i, c, token, ARGV[7])
elseif c.state == PENDING or c.state == ISSUED or (c.state == SENDING and owner == ARGV[4]) then
  redis.call('HDEL', KEYS[4], field)
  c.attempts = attempts
  finish_attempt(i, c, entry, tonumber(ARGV[8]), '0', ARGV[7])
else
  return 0
end
return done(1)
