#!lua flags=allow-oom
-- Notes topics that have suppression entries.
--
-- KEYS[1]  set of topics
-- ARGV     topics
-- returns  how many were new
--
-- A script only so that it is allowed when Redis is out of memory, as the
-- entry itself is. Idempotent.
return redis.call('SADD', KEYS[1], unpack(ARGV))
