--[[ closeAttempt.lua: end an attempt without a further call.
  KEYS[1]  attempt hash   KEYS[2]  its request
  ARGV[1]  why
  ARGV[2]  time to keep the hash, ms
  Output: 1 it ends for this reason | 0 it had ended before ]]
if redis.call('HGET', KEYS[1], 'state') == 'ended' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'ended', 'last', 0, 'closed', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1
