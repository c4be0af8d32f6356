-- step: what the connections of a worker say and ask between two messages, for
-- many of them at a time: what became of claims, new claims, looks ahead.
--
-- ARGV  2 outcomes, 3 claims, 4 looks: how many of each; then
--       for each outcome: index, token, outcome (byte of the state letter, 0 =
--       release), and if that is not "accepted": reply, jitter in percent,
--       greylisted (0, 1), delay of a release in seconds
--       for each claim: index, token
--       for each look: index
-- Returns the answers in the same order: one number for an outcome, two values
-- for a claim, one number for a look.
--
-- Outcomes are recorded by the token of the claim:
--
--   sending   -> accepted | deferred | bounced | failed | uncertain
--   sending   -> deferred (uncertain, under on_uncertain: resend)
--   sending   -> pending (release: not one body byte left; the attempt is not counted)
--   sending   -> suppressed (found with the claim; the attempt is not counted)
--   uncertain -> accepted | bounced (a late reply, by the token that is kept;
--                also while the next try of a resend has not been claimed)
--
-- The answer is 1 when it was applied, 0 when the token holds nothing (any
-- more): saying it twice changes nothing.
--
-- A claim is pending, issued -> sending, for one token: after the server's 354,
-- before the first byte of the body. The answer is {1, attempts} when it holds
-- (also when it is asked again with the same token), {0, state letter} when the
-- cell says no, {-1, run state} when the run says no, {-2, 0} when it is gone.
--
-- A look answers with the state letter, -1 when the run is gone.
--
-- Without claims it is allowed when Redis is out of memory: finished work is
-- always recorded, new work is not begun.

-- Where the arguments of each recipient begin.
local outcomes, claims, looks = {}, {}, {}
local at = 5
local fields, first, last = {}, 16777216, -1
local function meet(list, width, named)
  local i = tonumber(ARGV[at])
  list[#list + 1] = at
  if named then fields[#fields + 1] = part .. ':' .. i end
  if i < first then first = i end
  if i > last then last = i end
  at = at + width
end
for _ = 1, tonumber(ARGV[2]) do meet(outcomes, tonumber(ARGV[at + 2]) == ACCEPTED and 3 or 7, true) end
for _ = 1, tonumber(ARGV[3]) do meet(claims, 2, true) end
for _ = 1, tonumber(ARGV[4]) do meet(looks, 1, false) end

-- Neighbours are read at once.
if last - first < 200 * (#outcomes + #claims + #looks) then prefetch(first, last) end

local held, taken, given = {}, {}, {}
if #fields > 0 then
  for k, v in ipairs(redis.call('HMGET', KEYS[4], unpack(fields))) do held[fields[k]] = v or nil end
end
local function holds(field, token) return held[field] and string.match(held[field], '^[^ ]+') == token end

local function settle(a)
  local i, token, outcome = tonumber(ARGV[a]), ARGV[a + 1], tonumber(ARGV[a + 2])
  local field, c = part .. ':' .. i, read(i)
  if not c then return 0 end
  if holds(field, token) and c.state == SENDING then
    held[field] = nil
    given[#given + 1] = field
    if outcome == ACCEPTED then
      accept(i, c)
    elseif outcome == PENDING or outcome == SUPPRESSED then
      c.attempts = math.max(0, c.attempts - 1)
      move(i, c, outcome, now + tonumber(ARGV[a + 6]))
    elseif outcome == UNCERTAIN then
      doubt(i, c, token, ARGV[a + 3])
    else
      finish_attempt(i, c, outcome, tonumber(ARGV[a + 4]), ARGV[a + 5], ARGV[a + 3])
    end
    return 1
  end
  if (outcome == ACCEPTED or outcome == BOUNCED) and liftable(i, c, token) then
    lift(i, c, outcome, ARGV[a + 3])
    return 1
  end
  return 0
end

local function claim(a)
  local i, token = tonumber(ARGV[a]), ARGV[a + 1]
  local field, c = part .. ':' .. i, read(i)
  if not c then return -2, 0 end
  if holds(field, token) then return 1, c.attempts end
  if run_state ~= 'running' then return -1, run_state end
  if c.state ~= PENDING and c.state ~= ISSUED then return 0, c.state end
  c.attempts, c.silent = math.min(15, c.attempts + 1), 0
  held[field] = token .. ' ' .. c.attempts .. ' ' .. now_ms
  taken[#taken + 1] = field
  taken[#taken + 1] = held[field]
  move(i, c, SENDING, 0)
  return 1, c.attempts
end

local answer = {}
for k = 1, #outcomes do answer[#answer + 1] = settle(outcomes[k]) end
if #given > 0 then redis.call('HDEL', KEYS[4], unpack(given)) end
for k = 1, #claims do answer[#answer + 1], answer[#answer + 2] = claim(claims[k]) end
if #taken > 0 then redis.call('HSET', KEYS[4], unpack(taken)) end
for k = 1, #looks do
  local c = read(tonumber(ARGV[looks[k]]))
  answer[#answer + 1] = c and c.state or -1
end
return done(answer)
