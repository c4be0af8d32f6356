-- The ledger's cells, and move: the function through which every cell changes,
-- but for move_new, its short form for many. This file is put in front of every
-- script that has to do with cells.
--
-- KEYS  1 record  2 counts  3 cells of the part  4 claims  5 late  6 replies  7 early
--       8 receipts  9 patterns  10 chunks
-- ARGV  1 part number
-- The others belong to the script.
--
-- A cell is five bytes: state letter; attempts (4 bits), unanswered issues (3),
-- greylisting used (1); when (3 bytes, seconds since the run was created).
-- Cell, counters and finish check change in one script on one hash slot, so
-- that they can never disagree.

local PENDING, ISSUED, SENDING, DEFERRED = 0, 105, 115, 100
local ACCEPTED, BOUNCED, FAILED, SUPPRESSED, CANCELLED, UNCERTAIN = 97, 98, 102, 120, 99, 117
local FINAL = {[ACCEPTED] = true, [BOUNCED] = true, [FAILED] = true, [SUPPRESSED] = true, [CANCELLED] = true, [UNCERTAIN] = true}
local PAGE = 13104

-- int writes a whole number. Lua itself, and redis.call, take 0.5 us for it.
local function int(n) return string.format('%d', n) end

local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local record = redis.call('HMGET', KEYS[1], 'state', 'created', 'retry', 'max_attempts', 'expires', 'on_uncertain')
local run_state = record[1]
-- Seconds since the run was created; a `when` is reached when it is <= now.
local now = math.max(0, math.floor((now_ms - (tonumber(record[2]) or now_ms)) / 1000))

-- The part that the script is at: its number and the key of its cells; cells
-- that were read, and bytes of cells that were read ahead, from cell `from`; the
-- recipients whose cells changed, and by how much the counts of states.
local part, key, cells, ahead, from, moved, order, changes = ARGV[1], KEYS[3], {}, '', 0, {}, {}, {}

-- prefetch reads the cells of recipients first to last at once.
local function prefetch(first, last)
  ahead, from = redis.call('GETRANGE', key, int(first * 5), int(last * 5 + 4)), first
end

-- read returns the cell of recipient i, or nil when the run is gone.
local function read(i)
  if cells[i] then return cells[i] end
  local s, b, w1, w2, w3
  if i >= from and (i - from) * 5 + 5 <= #ahead then
    s, b, w1, w2, w3 = string.byte(ahead, (i - from) * 5 + 1, (i - from) * 5 + 5)
  else
    local c = redis.call('GETRANGE', key, int(i * 5), int(i * 5 + 4))
    if #c < 5 then return nil end
    s, b, w1, w2, w3 = string.byte(c, 1, 5)
  end
  cells[i] = {state = s, attempts = math.floor(b / 16), unanswered = math.floor(b / 2) % 8, grey = b % 2, when = w1 * 65536 + w2 * 256 + w3}
  return cells[i]
end

-- What a script changes is collected and written once for each part, and in
-- the end by done: a batch of claims or outcomes costs the counters no more than
-- one, and neighbours are one write.
local opened, early, accepted = 0, {}, false

local function bytes(c)
  return string.char(c.state, c.attempts * 16 + c.unanswered * 2 + c.grey,
    math.floor(c.when / 65536), math.floor(c.when / 256) % 256, c.when % 256)
end

-- count notes that n recipients went from one state to another.
local function count(from, to, n)
  changes[from] = (changes[from] or 0) - n
  changes[to] = (changes[to] or 0) + n
end

-- doubtful tells whether an earlier try of recipient i, under on_uncertain:
-- resend, may have been accepted: then it is uncertain when it ends without another try.
local function doubtful(i)
  return record[6] == 'resend' and redis.call('HEXISTS', KEYS[5], part .. ':' .. i) == 1
end

-- move changes the cell c of recipient i to a state, with the attempts, unanswered
-- issues and greylisting flag that stand in c. Nothing but it and move_new
-- changes cells.
local function move(i, c, to, when)
  if run_state == 'cancelled' and (to == PENDING or to == DEFERRED) then to = CANCELLED end
  if (to == CANCELLED or to == SUPPRESSED) and doubtful(i) then to = UNCERTAIN end
  if FINAL[to] then when = 0 end
  when = math.min(when, 16777215)
  if not moved[i] then
    moved[i] = true
    order[#order + 1] = i
  end
  if to == PENDING or to == DEFERRED then
    local page = part .. ':' .. math.floor(i / PAGE)
    if not early[page] or early[page] > when then early[page] = when end
  end
  local was = c.state
  c.state, c.when = to, when
  if was == to then return end
  count(was, to, 1)
  if FINAL[to] and not FINAL[was] then opened = opened - 1 end
  if FINAL[was] and not FINAL[to] then opened = opened + 1 end
end

-- move_new moves n recipients, first and following, to a state that is not
-- final. It does nothing, and reports false, when they are not all pending without
-- any attempt, since the same moment, which has come; or were not read ahead.
local function move_new(first, n, to, when)
  local skip = (first - from) * 5
  local one = string.sub(ahead, skip + 1, skip + 5)
  local s, b, w1, w2, w3 = string.byte(one, 1, 5)
  if s ~= PENDING or b ~= 0 or w1 * 65536 + w2 * 256 + w3 > now then return false end
  if string.sub(ahead, skip + 1, skip + n * 5) ~= string.rep(one, n) then return false end
  local cell = bytes({state = to, attempts = 0, unanswered = 0, grey = 0, when = math.min(when, 16777215)})
  redis.call('SETRANGE', key, int(first * 5), string.rep(cell, n))
  ahead, from = string.sub(ahead, skip + n * 5 + 1), first + n -- what is still true
  count(PENDING, to, n)
  return true
end

-- write writes what changed in the part. Up to 19 cells between two of them
-- go along as they were read ahead: cheaper than another command, here and in
-- the AOF.
local function write()
  table.sort(order)
  local k = 1
  while k <= #order do
    local first = order[k]
    local piece, last = {bytes(cells[first])}, first
    while order[k + 1] do
      local i = order[k + 1]
      if i > last + 1 then
        if i - last > 20 or last + 1 < from or (i - from) * 5 > #ahead then break end
        piece[#piece + 1] = string.sub(ahead, (last + 1 - from) * 5 + 1, (i - from) * 5)
      end
      piece[#piece + 1] = bytes(cells[i])
      last, k = i, k + 1
    end
    redis.call('SETRANGE', key, int(first * 5), table.concat(piece))
    k = k + 1
  end
  for state, n in pairs(changes) do
    if n ~= 0 then redis.call('HINCRBY', KEYS[2], part .. ':' .. int(state), int(n)) end
  end
end

-- enter goes on to another part.
local function enter(number, its_key)
  if number == part then return end
  write()
  part, key, cells, ahead, from, moved, order, changes = number, its_key, {}, '', 0, {}, {}, {}
end

-- The replies of accepted recipients, until done stores them: the pattern of
-- one, what differs, the pattern of the next, ...
local receipts, kept = {}, 0

-- pattern_numbers returns the numbers of the patterns in receipts, as they are
-- stored; a new pattern gets the next number.
local function pattern_numbers()
  local numbers, asked = {}, {}
  for k = 1, kept, 2 do
    local pattern = receipts[k]
    if not numbers[pattern] then
      numbers[pattern] = true
      asked[#asked + 1] = pattern
    end
  end
  for k, number in ipairs(redis.call('HMGET', KEYS[9], unpack(asked))) do
    local n = tonumber(number)
    if not n then
      n = redis.call('HLEN', KEYS[9]) + 1
      if n < 16384 then redis.call('HSET', KEYS[9], asked[k], int(n)) else n = 0 end
    end
    numbers[asked[k]] = n < 128 and string.char(n) or string.char(128 + n % 128, math.floor(n / 128))
  end
  return numbers
end

-- store_receipts appends what is known of accepted recipients: hundredths of
-- a second since the run was created (4 bytes), the number of the pattern (1 or 2
-- bytes, 7 bits in each, 0 = there were too many), what differs.
local function store_receipts()
  local numbers, list = pattern_numbers(), {}
  local t = math.min(4294967295, math.max(0, math.floor((now_ms - (tonumber(record[2]) or now_ms)) / 10)))
  local at = string.char(math.floor(t / 16777216), math.floor(t / 65536) % 256, math.floor(t / 256) % 256, t % 256)
  for k = 1, kept, 2 do list[(k + 1) / 2] = at .. numbers[receipts[k]] .. receipts[k + 1] end
  if redis.call('RPUSH', KEYS[8], unpack(list)) > kept / 2 then return end
  -- The first of the run, or a late one: it lives as long as the addresses. When
  -- the user of Redis may not ask for that, no outcome is lost.
  local left = redis.pcall('PTTL', KEYS[10])
  if type(left) ~= 'number' then return end
  if left == -2 then
    redis.call('DEL', KEYS[8], KEYS[9])
  elseif left >= 0 then
    redis.call('PEXPIRE', KEYS[8], int(left))
    redis.call('PEXPIRE', KEYS[9], int(left))
  end
end

-- done writes all that is left, looks whether the run is finished, and returns
-- the script's answer. Every script that changes cells calls it at its end.
local function done(answer)
  write()
  if kept > 0 then store_receipts() end
  -- Notes for the feeder the pages that have something earlier than it remembers.
  for page, when in pairs(early) do
    local old = redis.call('HGET', KEYS[7], page)
    if not old or tonumber(old) > when then redis.call('HSET', KEYS[7], page, when) end
  end
  if accepted then
    local at = int(now_ms)
    if redis.call('HSET', KEYS[2], 'last', at) == 1 then redis.call('HSETNX', KEYS[2], 'first', at) end
  end
  if opened ~= 0 then
    local open = redis.call('HINCRBY', KEYS[2], 'open', int(opened))
    if open == 0 then
      redis.call('HSET', KEYS[1], 'finished', now_ms)
      if run_state ~= 'cancelled' then redis.call('HSET', KEYS[1], 'state', 'finished') end
    elseif open == opened then
      redis.call('HDEL', KEYS[1], 'finished')
      if run_state == 'finished' then redis.call('HSET', KEYS[1], 'state', 'running') end
    end
  end
  return answer
end

-- remember keeps the last reply of a recipient that is not accepted.
local function remember(i, c, reason, reply)
  redis.call('HSET', KEYS[6], part .. ':' .. i, now_ms .. '\t' .. c.attempts .. '\t' .. reason .. '\t' .. reply)
end

-- give_up ends the tries for a recipient, for want of time or attempts.
local function give_up(i, c, reason, reply)
  remember(i, c, reason, reply)
  move(i, c, doubtful(i) and UNCERTAIN or FAILED, 0)
end

-- accept records a 250 after the final dot, and the reply by its pattern and what
-- differs; an empty pattern: the reply is not known.
local function accept(i, c, pattern, differs)
  move(i, c, ACCEPTED, 0)
  accepted = true
  if pattern ~= '' then
    receipts[kept + 1], receipts[kept + 2] = pattern, differs
    kept = kept + 2
  end
  if c.attempts > 1 or c.grey == 1 then redis.call('HDEL', KEYS[6], part .. ':' .. i) end
end

-- defer sets the next try by the run's own retry list, or fails the recipient
-- when its attempts or the run's time are used up. jitter is in percent.
local function defer(i, c, jitter, grey, reply)
  local delay
  if grey == '1' and c.grey == 0 then
    -- The first greylisting is free: no attempt, six minutes.
    c.grey, c.attempts, delay = 1, math.max(0, c.attempts - 1), 360
  else
    if c.attempts >= tonumber(record[4]) then
      return give_up(i, c, 'attempts', reply)
    end
    local n, last = 0, 0
    for d in string.gmatch(record[3], '%d+') do
      n, last = n + 1, tonumber(d)
      if n == math.max(1, c.attempts) then break end
    end
    delay = math.max(1, math.floor(last * jitter / 100 + 0.5))
  end
  if now + delay >= tonumber(record[5]) then
    return give_up(i, c, 'expired', reply)
  end
  remember(i, c, '', reply)
  move(i, c, DEFERRED, now + delay)
end

-- finish_attempt applies an outcome that was proven: a b f d, by its letter. Of an
-- accepted recipient reply is the pattern, and what differs comes after it.
local function finish_attempt(i, c, outcome, jitter, grey, reply, differs)
  if outcome == ACCEPTED then
    accept(i, c, reply, differs)
  elseif outcome == DEFERRED then
    defer(i, c, jitter, grey, reply)
  else
    remember(i, c, '', reply)
    move(i, c, outcome, 0)
  end
end

-- doubt records that it is not known whether a body was taken: no reply came,
-- or the worker is gone. The token is kept: a late reply lifts the recipient.
-- Under on_uncertain: resend the next try comes after 15 minutes.
local function doubt(i, c, token, reply)
  redis.call('HSET', KEYS[5], part .. ':' .. i, token)
  remember(i, c, 'uncertain', reply)
  if record[6] == 'resend' and run_state ~= 'cancelled' and c.attempts < tonumber(record[4]) and now + 900 < tonumber(record[5]) then
    return move(i, c, DEFERRED, now + 900)
  end
  move(i, c, UNCERTAIN, 0)
end

-- liftable tells whether the token of a doubtful claim may still decide: the
-- recipient is uncertain, or waits for another try under on_uncertain: resend.
local function liftable(i, c, token)
  return not (FINAL[c.state] and c.state ~= UNCERTAIN) and c.state ~= SENDING and redis.call('HGET', KEYS[5], part .. ':' .. i) == token
end

-- lift applies what became known of a doubtful claim.
local function lift(i, c, outcome, reply, differs)
  redis.call('HDEL', KEYS[5], part .. ':' .. i)
  redis.call('HDEL', KEYS[6], part .. ':' .. i)
  finish_attempt(i, c, outcome, 100, '0', reply, differs)
end
