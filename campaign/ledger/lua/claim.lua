-- claim: pending, issued -> sending, each for one token. After the server's
-- 354, before the first byte of the body. Not allowed when Redis is out of
-- memory: a full Redis stops new work.
--
-- ARGV  2... pairs of index and token
-- Returns a pair for each: {1, attempts} when the claim holds (also when it is
-- asked again with the same token), {0, state letter} when the cell says no,
-- {-1, run state} when the run says no, {-2, 0} when the run is gone.
local function claim(i, token)
  local c = read(i)
  if not c then return -2, 0 end
  local field = part .. ':' .. i
  local held = redis.call('HGET', KEYS[4], field)
  if held and string.match(held, '^[^ ]+') == token then return 1, c.attempts end
  if run_state ~= 'running' then return -1, run_state end
  if c.state ~= PENDING and c.state ~= ISSUED then return 0, c.state end
  c.attempts, c.silent = math.min(15, c.attempts + 1), 0
  redis.call('HSET', KEYS[4], field, token .. ' ' .. c.attempts .. ' ' .. now_ms)
  move(i, c, SENDING, 0)
  return 1, c.attempts
end

local answer = {}
for k = 2, #ARGV, 2 do
  answer[#answer + 1], answer[#answer + 2] = claim(tonumber(ARGV[k]), ARGV[k + 1])
end
return done(answer)
