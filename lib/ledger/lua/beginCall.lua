--[[ beginCall.lua: number a call of an open attempt, right before it is made.
  KEYS[1]  attempt hash
  ARGV[1]  start of the call, epoch ms
  Output: > 0 number of the call | 0 the attempt has ended: no call | -1 the attempt is not known: no call ]]
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return -1 end
if state == 'ended' then return 0 end
local number = redis.call('HINCRBY', KEYS[1], 'calls', 1)
redis.call('HSET', KEYS[1], 'start:' .. number, ARGV[1])
return number
