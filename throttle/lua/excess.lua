-- Tells a worker what the others need of its connections.
--
-- KEYS     see shares.lua
-- ARGV     see shares.lua
-- result   {1 when another worker waits for a connection, else 0;
--           how many connections above its share the worker should end, so that
--           those that wait reach theirs}
local fair = share(1 + known)
local wanted, need = 0, 0
for _, o in pairs(others) do
  if o.waits then
    wanted = 1
    need = need + math.max(0, fair - o.held)
  end
end
local free = math.max(0, limit - sum - own)
return {wanted, math.max(0, math.min(own - fair, need - free))}
