--[[ beginCall.lua: number a call of an open attempt, right before it is made, or end the attempt where too many were.
  KEYS[1]  attempt hash   KEYS[2]  its request
  ARGV[1]  start of the call, epoch ms
  ARGV[2]  calls of the attempt in all, without those that do not count
  ARGV[3]  time to keep the hash of an attempt that ends, ms
  Output: {number of the call, calls that may follow it} | {0, 0} the attempt has ended or is not known: no call ]]
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return {0, 0} end
local counts = redis.call('HMGET', KEYS[1], 'calls', 'uncounted')
local left = ARGV[2] - (counts[1] or 0) + (counts[2] or 0)
if left <= 0 then
  redis.call('HSET', KEYS[1], 'state', 'ended', 'last', 0, 'closed', 'calls_used_up')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('DEL', KEYS[2])
  return {0, 0}
end
local number = redis.call('HINCRBY', KEYS[1], 'calls', 1)
redis.call('HSET', KEYS[1], 'start:' .. number, ARGV[1])
return {number, left - 1}
