-- lease: take the lease, or make it last longer when it is one's own; give it up
-- with 0.
--
-- KEYS  1 lease
-- ARGV  1 holder  2 milliseconds
-- Returns 1 when the caller holds it now, else 0.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
