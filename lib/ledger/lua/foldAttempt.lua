--[[ foldAttempt.lua: settle what an attempt of a step has cost, and give back what it held. Each record counts once.
  KEYS[1]  tenant's ledger   KEYS[2]  applied offsets   KEYS[3]  task   KEYS[4]  day   KEYS[5]  step
  ARGV[1]  token of the rebuild that folds; empty where there is none
  ARGV[2]  topic/partition   ARGV[3]  offset
  ARGV[4]  attempt           ARGV[5]  cost, micro-USD
  ARGV[6]  bound of one call, micro-USD
  ARGV[7]  1 where the attempt ends, 0 for an earlier call of it
  ARGV[8]  time to keep a task that holds nothing, ms
  Output: {'folded', what was settled above the bound, micro-USD} | {'seen'} it was before
    | {'lost'} there is no ledger, or another rebuild has begun ]]
local generation, rebuild = unpack(redis.call('HMGET', KEYS[1], 'generation', 'rebuild'))
if ARGV[1] == '' and not generation or ARGV[1] ~= '' and rebuild ~= ARGV[1] then return {'lost'} end
if tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or -1) >= tonumber(ARGV[3]) then return {'seen'} end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])

local cost, bound = tonumber(ARGV[5]), tonumber(ARGV[6])
local held = redis.call('HGET', KEYS[5], ARGV[4])
local amount, day, since = 0, nil, nil
if held and held ~= '-' then
  amount, day, since = string.match(held, '^(%d+) (%d+) (%d+)$')
  amount = tonumber(amount)
end
-- One call's bound stays held while the attempt goes on.
local kept = ARGV[7] == '1' and 0 or math.max(math.min(amount, bound), amount - bound)
if amount ~= kept then
  redis.call('HINCRBY', KEYS[3], 'reserved', kept - amount)
  redis.call('HINCRBY', KEYS[4], 'reserved', kept - amount)
end
if cost > 0 then
  redis.call('HINCRBY', KEYS[3], 'settled', cost)
  redis.call('HINCRBY', KEYS[4], 'settled', cost)
end
-- Its decision may be folded later, and a zombie may still reserve: nothing is held for it any more.
if ARGV[7] == '1' then redis.call('HSET', KEYS[5], ARGV[4], '-')
elseif kept > 0 then redis.call('HSET', KEYS[5], ARGV[4], kept .. ' ' .. day .. ' ' .. since) end

local over = math.max(0, cost - bound)
if over > 0 then
  redis.call('HINCRBY', KEYS[1], 'overSettles', 1)
  redis.call('HINCRBY', KEYS[1], 'overSettledMicroUsd', over)
end
if tonumber(redis.call('HGET', KEYS[3], 'reserved') or 0) == 0 then redis.call('PEXPIRE', KEYS[3], ARGV[8]) end
return {'folded', over}
