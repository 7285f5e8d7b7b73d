--[[ foldOutcome.lua: a step is over: give back what its attempts hold that never ran. Each record counts once.
  KEYS[1]  tenant's ledger   KEYS[2]  applied offsets   KEYS[3]  task   KEYS[4]  step
  KEYS[n+4]  the n-th day that is named
  ARGV[1]  token of the rebuild that folds; empty where there is none
  ARGV[2]  topic/partition   ARGV[3]  offset
  ARGV[4]  time to keep what tells that the step is over, ms
  ARGV[5]  time to keep a task that holds nothing, ms
  ARGV[n+5]  the n-th day, yyyymmdd
  Output: {'folded'} | {'seen'} it was before | {'days', day...} it holds on these: call again with all of them
    | {'lost'} there is no ledger, or another rebuild has begun ]]
local generation, rebuild = unpack(redis.call('HMGET', KEYS[1], 'generation', 'rebuild'))
if ARGV[1] == '' and not generation or ARGV[1] ~= '' and rebuild ~= ARGV[1] then return {'lost'} end
if tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or -1) >= tonumber(ARGV[3]) then return {'seen'} end

local keyOfDay, amounts, missing = {}, {}, {'days'}
for n = 5, #KEYS do keyOfDay[ARGV[n + 1]] = KEYS[n] end
local fields = redis.call('HGETALL', KEYS[4])
for i = 1, #fields, 2 do
  local amount, day = string.match(fields[i + 1], '^(%d+) (%d+) %d+$')
  if amount then
    amounts[#amounts + 1] = {fields[i], tonumber(amount), day}
    if not keyOfDay[day] then missing[#missing + 1] = day end
  end
end
if #missing > 1 then return missing end

redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
for _, each in ipairs(amounts) do
  redis.call('HDEL', KEYS[4], each[1])
  redis.call('HINCRBY', KEYS[3], 'reserved', -each[2])
  redis.call('HINCRBY', keyOfDay[each[3]], 'reserved', -each[2])
end
-- Its decisions may be folded later, and a zombie may still reserve.
redis.call('HSET', KEYS[4], 'ended', '1')
redis.call('PEXPIRE', KEYS[4], ARGV[4])
if tonumber(redis.call('HGET', KEYS[3], 'reserved') or 0) == 0 then redis.call('PEXPIRE', KEYS[3], ARGV[5]) end
return {'folded'}
