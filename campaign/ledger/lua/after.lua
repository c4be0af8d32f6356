-- after: what came back about messages of a run after they were accepted. Each kind
-- counts once for each recipient, however often and by how many roads it comes.
--
-- KEYS  11 figures: "day kind part account" -> how many  12 texts: "kind TAB text"
--       -> how many  13 notes: "kind:part:index", or "kind:" and a member -> when, by
--       which road, with which words  14... cells and marks, as the arguments say
-- ARGV  2 how many texts are kept  3 how many notes
--       for each: part; which of KEYS has its cells, 0 for none; which has its mark;
--         index; member of the set of marks, empty where the mark is the bit of the
--         index; what an uncertain recipient becomes (byte of the
--         state letter, 0 = what it is); the reply to a bounced one; kind; field in
--         figures; text, may be empty; note, may be empty
-- Returns for each 1 when it was counted now, 0 when it had been or the run is gone.
--
-- Cells, marks and counters change together: a caller without an answer calls again.
-- Allowed when Redis is out of memory, as the suppressions are.
local width, counted, figures, texts, notes, answer = 11, {}, {}, {}, {}, {}
local n = (#ARGV - 3) / width
if not run_state then
  for k = 1, n do answer[k] = 0 end
  return answer
end

local function add(to, field, more) to[field] = (to[field] or 0) + more end

-- unknown tells whether what became of a try is not known: the recipient is uncertain,
-- or waits for another try under on_uncertain: resend.
local function unknown(i, c)
  return c.state == UNCERTAIN or not FINAL[c.state] and c.state ~= SENDING and doubtful(i)
end

local touched = {}
for k = 1, n do
  local a = 4 + (k - 1) * width
  local its_part, cells, mark, member = ARGV[a], tonumber(ARGV[a + 1]), KEYS[tonumber(ARGV[a + 2])], ARGV[a + 4]
  if cells > 0 then
    enter(its_part, KEYS[cells])
    local i, outcome = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 5])
    local c = outcome > 0 and read(i)
    if c and unknown(i, c) then
      lift(i, c, outcome, outcome == ACCEPTED and '' or ARGV[a + 6], '')
    end
  end
  local new
  if member == '' then
    new = redis.call('SETBIT', mark, ARGV[a + 3], 1) == 0
  else
    new = redis.call('SADD', mark, member) == 1
  end
  answer[k] = new and 1 or 0
  if new then
    touched[mark] = true
    add(counted, 'after:' .. ARGV[a + 7], 1)
    if ARGV[a + 7] == 'complained' then add(counted, 'after:complained:' .. its_part, 1) end -- the guards look at each provider
    add(figures, ARGV[a + 8], 1)
    if ARGV[a + 9] ~= '' then add(texts, ARGV[a + 7] .. '\t' .. ARGV[a + 9], 1) end
    if ARGV[a + 10] ~= '' then
      notes[#notes + 1] = ARGV[a + 7] .. ':' .. (member == '' and its_part .. ':' .. ARGV[a + 3] or member)
      notes[#notes + 1] = ARGV[a + 10]
    end
  end
end

for field, more in pairs(counted) do redis.call('HINCRBY', KEYS[2], field, more) end
for field, more in pairs(figures) do
  touched[KEYS[11]] = true
  redis.call('HINCRBY', KEYS[11], field, more)
end
for field, more in pairs(texts) do
  touched[KEYS[12]] = true
  -- Servers whose texts are always different must not fill Redis with them.
  if redis.call('HEXISTS', KEYS[12], field) == 0 and redis.call('HLEN', KEYS[12]) >= tonumber(ARGV[2]) then
    field = string.match(field, '^[^\t]*\t')
  end
  redis.call('HINCRBY', KEYS[12], field, more)
end

if #notes > 0 and redis.call('HLEN', KEYS[13]) + #notes / 2 <= tonumber(ARGV[3]) then
  touched[KEYS[13]] = true
  redis.call('HSET', KEYS[13], unpack(notes))
end

-- What is written after the run was retired ends with it.
local left = redis.call('PTTL', KEYS[1])
for key in pairs(touched) do
  if left > 0 and redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, int(left)) end
end

accepted = false -- they were accepted earlier than now: the run's pace stays as it is
return done(answer)
