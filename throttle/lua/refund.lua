-- Takes unused slots off the buckets of quotas that they were counted in.
--
-- KEYS     see quota.lua, without lines; the last is set when it has been done: see
--          giveback.lua
-- ARGV     see quota.lua; then for each quota a bucket, how many to take off it, and
--          how many off the one before (the worker remembers them until now)
-- result   1, or 0 when it was done before
if not redis.call('SET', KEYS[#KEYS], '1', 'NX', 'EX', 30) then return 0 end

for n, q in ipairs(quotas) do
  local a = own + 3 * n - 2
  for i = 0, 1 do
    local bucket = tonumber(ARGV[a]) - i
    local mine = tonumber(redis.call('HGET', q.key, workerField(bucket)) or 0)
    local back = math.min(tonumber(ARGV[a + 1 + i]), mine)
    if back > 0 and bucket >= q.first then count(q, bucket, -back) end
  end
  saveQuota(q)
end
return 1
