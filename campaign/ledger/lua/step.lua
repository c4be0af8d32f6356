-- step: what the connections of a worker say and ask between two messages, for
-- many of them at a time: what became of claims, new claims, looks ahead.
--
-- KEYS  11... cells of the second part, the third, ...
-- ARGV  for each part: its number; outcomes, claims, looks: how many of each; then
--         for each outcome: index, token, outcome (byte of the state letter, 0 =
--         release), and if that is "accepted": pattern of the reply, what differs;
--         else: reply, jitter in percent, greylisted (0, 1), delay of a release in
--         seconds
--         for each claim: index, token
--         for each look: index
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

-- Where the arguments of each recipient begin, and the fields in claims of those
-- with an outcome.
local groups, fields, field_at = {}, {}, {}
local at = 1
while ARGV[at] do
  local g = {part = ARGV[at], first = math.huge, last = -1}
  local outcomes, claims, looks = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  local function meet(n, width)
    local list = {}
    for k = 1, n do
      local i = tonumber(ARGV[at])
      list[k] = at
      if i < g.first then g.first = i end
      if i > g.last then g.last = i end
      if not width then
        field_at[at] = g.part .. ':' .. ARGV[at]
        fields[#fields + 1] = field_at[at]
      end
      at = at + (width or tonumber(ARGV[at + 2]) == ACCEPTED and 5 or 7)
    end
    return list
  end
  g.outcomes, g.claims, g.looks = meet(outcomes), meet(claims, 2), meet(looks, 1)
  g.near = g.last >= 0 and g.last - g.first < 200 * (outcomes + claims + looks)
  groups[#groups + 1] = g
end

local held, taken, given = {}, {}, {}
local stamp = int(now_ms)
if #fields > 0 then
  for k, v in ipairs(redis.call('HMGET', KEYS[4], unpack(fields))) do held[fields[k]] = v or nil end
end
local function holds(claim, token) return claim and string.find(claim, token .. ' ', 1, true) == 1 end

local function settle(a)
  local i, token, outcome = tonumber(ARGV[a]), ARGV[a + 1], tonumber(ARGV[a + 2])
  local field, c = field_at[a], read(i)
  if not c then return 0 end
  if holds(held[field], token) and c.state == SENDING then
    held[field] = nil
    given[#given + 1] = field
    if outcome == ACCEPTED then
      accept(i, c, ARGV[a + 3], ARGV[a + 4])
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
    lift(i, c, outcome, ARGV[a + 3], ARGV[a + 4])
    return 1
  end
  return 0
end

local function claim(a)
  local i, token = tonumber(ARGV[a]), ARGV[a + 1]
  local field, c = part .. ':' .. ARGV[a], read(i)
  if not c then return -2, 0 end
  if c.state == SENDING and holds(redis.call('HGET', KEYS[4], field), token) then return 1, c.attempts end
  if run_state ~= 'running' then return -1, run_state end
  if c.state ~= PENDING and c.state ~= ISSUED then return 0, c.state end
  c.attempts, c.unanswered = math.min(15, c.attempts + 1), 0
  taken[#taken + 1] = field
  taken[#taken + 1] = token .. ' ' .. int(c.attempts) .. ' ' .. stamp
  move(i, c, SENDING, 0)
  return 1, c.attempts
end

local answer = {}
for k, g in ipairs(groups) do
  if k > 1 then enter(g.part, KEYS[9 + k]) end
  if g.near then prefetch(g.first, g.last) end -- neighbours are read at once
  for _, a in ipairs(g.outcomes) do answer[#answer + 1] = settle(a) end
  for _, a in ipairs(g.claims) do answer[#answer + 1], answer[#answer + 2] = claim(a) end
  for _, a in ipairs(g.looks) do
    local c = read(tonumber(ARGV[a]))
    answer[#answer + 1] = c and c.state or -1
  end
end
if #given > 0 then redis.call('HDEL', KEYS[4], unpack(given)) end
if #taken > 0 then redis.call('HSET', KEYS[4], unpack(taken)) end
return done(answer)
