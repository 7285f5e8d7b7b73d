--[[ openAttempt.lua: keep the request of a frontier attempt for whoever will call the provider; once.
  KEYS[1]  attempt hash   KEYS[2]  its request   (both with the hash tag of provider and model)
  ARGV[1]  request, compressed
  ARGV[2]  time to keep both, ms
  Output: 1 the attempt is open | 0 it has ended already, nothing was changed ]]
if redis.call('HGET', KEYS[1], 'state') == 'ended' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'open')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
