-- Beginning of the scripts that divide the connections of one account among its
-- workers: reads what the other workers hold and ask for.
--
-- KEYS[1]  connections of the account: hash worker -> count
-- KEYS[2]  requests: hash worker -> "asked refused", when the worker last asked
--          for a connection and, if it was refused, the same again, else 0; ms
--          since 1970
-- ARGV[1]  the worker that calls
-- ARGV[2]  limit of the account (0: none)
--
-- Atomic because what all workers hold and ask for is compared as of one moment.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local limit = tonumber(ARGV[2])
-- A worker that asked within askedLife ms wants its share. One that was refused
-- within refusedLife ms still waits for it: it asks again only now and then.
local askedLife, refusedLife = 2000, 5000
local own, sum, known = 0, 0, 0 -- sum: of the others; known: how many others there are
local others = {}
local stale = {} -- workers whose request is over

local function within(t, life) return t <= now and now - t < life end

local function other(worker)
  if not others[worker] then
    others[worker] = {held = 0, wants = false, waits = false}
    known = known + 1
  end
  return others[worker]
end

do
  local held = redis.call('HGETALL', KEYS[1])
  for i = 1, #held, 2 do
    local n = tonumber(held[i + 1])
    if held[i] == ARGV[1] then
      own = n
    elseif n > 0 then
      other(held[i]).held = n
      sum = sum + n
    end
  end
  local requests = redis.call('HGETALL', KEYS[2])
  for i = 1, #requests, 2 do
    local worker, asked, refused = requests[i], string.match(requests[i + 1], '^(%d+) (%d+)$')
    asked, refused = tonumber(asked), tonumber(refused)
    if worker ~= ARGV[1] and not within(asked, refusedLife) then
      stale[#stale + 1] = worker
    elseif worker ~= ARGV[1] then
      local waits = within(refused, refusedLife)
      if waits or within(asked, askedLife) then
        local o = other(worker)
        o.wants, o.waits = true, waits
      end
    end
  end
end

-- share is what each of so many workers may hold in any case.
local function share(workers) return math.max(1, math.floor(limit / workers)) end
