--[[ renewLock.lua: keep a lock that is ours.
  KEYS[1]  lock
  ARGV[1]  its holder   ARGV[2]  time until it is free, ms
  Output: 1 it is still ours | 0 another holds it, or nobody does ]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
