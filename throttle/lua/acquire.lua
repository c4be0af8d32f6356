-- Counts one connection more for a worker, if the limit of the account allows it
-- and the connection is not kept for other workers. Below its share a worker may
-- have any connection that is free; above it only those that the others do not
-- need to reach theirs.
--
-- KEYS     see shares.lua
-- ARGV     see shares.lua; ARGV[3] how many it holds already; ARGV[4] among the
--          other workers, how many have a share whether they ask for it or not
--          (0: only those that ask); ARGV[5] how much of the share is kept for
--          one of these that holds nothing and has not asked
-- result   1; 0 when the limit is reached; -1 when what is free is kept for others
-- The worker's count is written as a number, not incremented: sent twice, it
-- changes nothing.
local count, silent = tonumber(ARGV[3]) + 1, tonumber(ARGV[4])
local unseen = math.max(0, silent - known)
local fair = share(1 + known + unseen)
local kept = unseen * math.min(fair, tonumber(ARGV[5]))
for _, o in pairs(others) do
  if o.wants or silent > 0 then kept = kept + math.max(0, fair - o.held) end
end

local answer = 1
if limit > 0 and sum + count > limit then
  answer = 0
elseif limit > 0 and count > fair and sum + count + kept > limit then
  answer = -1
end

-- Once it has what it asked for it waits no more, until it asks again.
local refused = answer == 1 and 0 or now
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f %.0f', now, refused))
if #stale > 0 then redis.call('HDEL', KEYS[2], unpack(stale)) end
redis.call('PEXPIRE', KEYS[2], refusedLife)
if answer == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], count)
  redis.call('EXPIRE', KEYS[1], 172800)
end
return answer
