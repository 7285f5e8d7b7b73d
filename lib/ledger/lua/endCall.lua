--[[ endCall.lua: note how a call ended and, where it ends its attempt, keep the answer: all or nothing.
  KEYS[1]  attempt hash   KEYS[2]  its request   KEYS[3]  its answer
  ARGV[1]  number of the call
  ARGV[2]  its end, JSON
  ARGV[3]  answer, compressed; empty for none
  ARGV[4]  1 where the attempt ends with this call, 0 where another call may follow
  ARGV[5]  time to keep all, ms
  ARGV[6]  1 where the call counts, 0 where the provider turned it away
  Output: 1 noted | 0 noted, and the attempt had ended before with another call | -1 the attempt is not known ]]
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return -1 end
redis.call('HSET', KEYS[1], 'end:' .. ARGV[1], ARGV[2])
if ARGV[6] == '0' then redis.call('HINCRBY', KEYS[1], 'uncounted', 1) end
if state == 'ended' then return 0 end
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'state', 'ended', 'last', ARGV[1])
  if ARGV[3] ~= '' then redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5]) end
  redis.call('DEL', KEYS[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
