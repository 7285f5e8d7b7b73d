--[[ settleQuota.lua: correct a reservation to what its call used, and note what the provider says that others use.
  KEYS[1]  state, hash   KEYS[2]  log, sorted set
  ARGV[1]  the reservation as it stands in the log; a batch call's begins with +
  ARGV[2]  what replaces it; empty where the request was never sent
  ARGV[3]  when it ends, epoch ms
  ARGV[4]  input tokens to add   ARGV[5]  output tokens to add: negative where it used less than was reserved
  ARGV[6]  how much later the next batch call is due, ms: negative likewise
  ARGV[7]  requests that others have used   ARGV[8]  input tokens   ARGV[9]  output tokens   ARGV[10]  both; -1 in
    ARGV[7] where the provider did not tell
  ARGV[11]  when the call was reserved, epoch ms: what was told of an earlier one is older
  ARGV[12]  how long that holds, ms
  Output: 1 corrected | 0 it had ended, or was corrected before ]]
if redis.call('HEXISTS', KEYS[1], 'generation') == 0 then return 0 end
if ARGV[7] ~= '-1' and tonumber(ARGV[11]) >= (tonumber(redis.call('HGET', KEYS[1], 'outside_at')) or 0) then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[1], 'outside_at', ARGV[11], 'outside_until', now + ARGV[12],
    'outside_1', ARGV[7], 'outside_2', ARGV[8], 'outside_3', ARGV[9], 'outside_4', ARGV[10])
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
if ARGV[6] ~= '0' then redis.call('HINCRBY', KEYS[1], 'batch_due', ARGV[6]) end
return 1
