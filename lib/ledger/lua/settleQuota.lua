--[[ settleQuota.lua: correct a reservation to what its call used, and note what the provider says that others use.
  KEYS[1]  state, hash   KEYS[2]  log, sorted set
  ARGV[1]  the reservation as it stands in the log; a batch call's begins with +
  ARGV[2]  what replaces it; empty where the request was never sent
  ARGV[3]  when it ends, epoch ms
  ARGV[4]  input tokens to add   ARGV[5]  output tokens to add: negative where it used less than was reserved
  ARGV[6]  time in which the limits come to a call like the one reserved, ms; 0 where it is not known what it used
  ARGV[7]  the same for what it used
  ARGV[8]  parts per million of the limits that are the batch calls' share; 0 for an interactive call
  ARGV[9]  requests that others have used   ARGV[10]  input tokens   ARGV[11]  output tokens   ARGV[12]  both; -1 in
    ARGV[9] where the provider did not tell
  ARGV[13]  when the call was reserved, epoch ms: what was told of an earlier one is older
  ARGV[14]  how long that holds, ms
  Output: 1 corrected | 0 it had ended, or was corrected before ]]
if redis.call('HEXISTS', KEYS[1], 'generation') == 0 then return 0 end
if ARGV[9] ~= '-1' and tonumber(ARGV[13]) >= (tonumber(redis.call('HGET', KEYS[1], 'outside_at')) or 0) then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[1], 'outside_at', ARGV[13], 'outside_until', now + ARGV[14],
    'outside_1', ARGV[9], 'outside_2', ARGV[10], 'outside_3', ARGV[11], 'outside_4', ARGV[12])
end
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
local sums = {''}
if string.byte(ARGV[1], 1) == 43 then sums[2] = 'batch_' end
for _, sum in ipairs(sums) do
  redis.call('HINCRBY', KEYS[1], sum .. 'input', ARGV[4])
  redis.call('HINCRBY', KEYS[1], sum .. 'output', ARGV[5])
  if ARGV[2] == '' then redis.call('HINCRBY', KEYS[1], sum .. 'requests', -1) end
end
if ARGV[2] ~= '' then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2]) end
local reserved, used = tonumber(ARGV[6]), tonumber(ARGV[7])
if reserved > 0 then
  if ARGV[2] ~= '' then
    -- Exponentially weighted over about 32 calls.
    local ratio = tonumber(redis.call('HGET', KEYS[1], 'ratio')) or 1
    redis.call('HSET', KEYS[1], 'ratio', ratio + (used / reserved - ratio) / 32)
  end
  if ARGV[8] ~= '0' then
    redis.call('HINCRBYFLOAT', KEYS[1], 'batch_due', (used - reserved) * 1000000 / ARGV[8])
  end
end
return 1
