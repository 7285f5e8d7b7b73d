--[[ reserve.lua: hold an upper bound of cost for an attempt of a step, against its task's cap and its tenant's day.
  An upsert: what the attempt holds already is replaced, and counted for the day that it was first held on. 0 gives it back.
  KEYS[1]  tenant's ledger   KEYS[2]  task   KEYS[3]  day   KEYS[4]  step
  ARGV[1]  attempt           ARGV[2]  bound, micro-USD
  ARGV[3]  cap that the step names for its task; empty for none
  ARGV[4]  cap of a day by the policy; empty for none
  ARGV[5]  day of KEYS[3], yyyymmdd   ARGV[6]  now, epoch ms
  ARGV[7]  time to keep a task that holds nothing, ms
  Output: {'held' | 'refused', taskCap, taskSettled, taskReserved, dayCap, daySettled, dayReserved, heldSinceMs}
    in micro-USD, without what this attempt holds; -1 for no cap
    | {'ended'} the attempt or its step is over: nothing may be held for it
    | {'other_day', day} it is held on that day: call again with its key
    | {'lost'} there is no ledger ]]
if redis.call('HEXISTS', KEYS[1], 'generation') == 0 then return {'lost'} end
local bound = tonumber(ARGV[2])
local held, ended = unpack(redis.call('HMGET', KEYS[4], ARGV[1], 'ended'))
if ended or held == '-' then return {'ended'} end
local before, since = 0, ARGV[6]
if held then
  local amount, day, at = string.match(held, '^(%d+) (%d+) (%d+)$')
  if day ~= ARGV[5] then return {'other_day', day} end
  before, since = tonumber(amount), at
end

local cap, capBy, settled, reserved = unpack(redis.call('HMGET', KEYS[2], 'cap', 'capBy', 'settled', 'reserved'))
cap, settled, reserved = tonumber(cap or -1), tonumber(settled or 0), tonumber(reserved or 0) - before
if ARGV[3] ~= '' and capBy ~= 'operator' and (cap < 0 or tonumber(ARGV[3]) < cap) then
  cap = tonumber(ARGV[3])
  redis.call('HSET', KEYS[2], 'cap', ARGV[3])
end
local dayCap = redis.call('HGET', KEYS[1], 'dayCap') or ARGV[4]
dayCap = dayCap == '' and -1 or tonumber(dayCap)
local daySettled, dayReserved = unpack(redis.call('HMGET', KEYS[3], 'settled', 'reserved'))
daySettled, dayReserved = tonumber(daySettled or 0), tonumber(dayReserved or 0) - before

local fits = (cap < 0 or settled + reserved + bound <= cap) and (dayCap < 0 or daySettled + dayReserved + bound <= dayCap)
if bound == 0 or fits then
  if bound == 0 then redis.call('HDEL', KEYS[4], ARGV[1])
  else redis.call('HSET', KEYS[4], ARGV[1], ARGV[2] .. ' ' .. ARGV[5] .. ' ' .. since) end
  if bound ~= before then
    redis.call('HINCRBY', KEYS[2], 'reserved', bound - before)
    redis.call('HINCRBY', KEYS[3], 'reserved', bound - before)
  end
end
if reserved + bound > 0 then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIRE', KEYS[2], ARGV[7]) end
return {fits and 'held' or 'refused', cap, settled, reserved, dayCap, daySettled, dayReserved, tonumber(since)}
