--[[ foldDecision.lua: what a decision in the log means for budgets: its step counts for its task, and a paid one holds
  its bound until its attempt or its step ends. Each record counts once.
  KEYS[1]  tenant's ledger   KEYS[2]  applied offsets   KEYS[3]  task   KEYS[4]  day   KEYS[5]  step
  ARGV[1]  token of the rebuild that folds; empty where there is none
  ARGV[2]  topic/partition   ARGV[3]  offset
  ARGV[4]  attempt           ARGV[5]  bound, micro-USD; 0 where nothing is paid for
  ARGV[6]  cap of the task; empty for none
  ARGV[7]  day of KEYS[4], yyyymmdd   ARGV[8]  when it was reserved, epoch ms
  ARGV[9]  1 where it is the step's first
  ARGV[10] time to keep a task that holds nothing, ms
  Output: 'folded' | 'seen' it was before | 'lost' there is no ledger, or another rebuild has begun ]]
local generation, rebuild = unpack(redis.call('HMGET', KEYS[1], 'generation', 'rebuild'))
if ARGV[1] == '' and not generation or ARGV[1] ~= '' and rebuild ~= ARGV[1] then return 'lost' end
if tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or -1) >= tonumber(ARGV[3]) then return 'seen' end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])

local cap, capBy = unpack(redis.call('HMGET', KEYS[3], 'cap', 'capBy'))
if ARGV[6] ~= '' and capBy ~= 'operator' and (not cap or tonumber(ARGV[6]) < tonumber(cap)) then
  redis.call('HSET', KEYS[3], 'cap', ARGV[6])
end
if ARGV[9] == '1' and (cap or ARGV[6] ~= '') then redis.call('HINCRBY', KEYS[3], 'steps', 1) end

local held, ended = unpack(redis.call('HMGET', KEYS[5], ARGV[4], 'ended'))
local bound = tonumber(ARGV[5])
if bound > 0 and not held and not ended then
  redis.call('HSET', KEYS[5], ARGV[4], ARGV[5] .. ' ' .. ARGV[7] .. ' ' .. ARGV[8])
  redis.call('HINCRBY', KEYS[3], 'reserved', bound)
  redis.call('HINCRBY', KEYS[4], 'reserved', bound)
end
if tonumber(redis.call('HGET', KEYS[3], 'reserved') or 0) > 0 then redis.call('PERSIST', KEYS[3])
else redis.call('PEXPIRE', KEYS[3], ARGV[10]) end
return 'folded'
