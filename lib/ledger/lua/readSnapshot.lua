--[[ readSnapshot.lua: what the ledger knows of steps of one tenant that are about to be decided.
  KEYS[1]  tenant's ledger   KEYS[2]  day of today
  KEYS[3..]  of each step: its task, the step itself, then each subject whose failures count
  ARGV[1]  number of steps
  ARGV[2..]  of each step: its attempt, then the number of its subjects
  Output: {'read', dayCap, daySettled, dayReserved,
      {taskCap, who set it, taskSettled, taskReserved, taskSteps, what the attempt holds, subject...}...}
    caps may be absent; each subject is 'failures successes atMs' or absent
    | {'lost'} there is no ledger ]]
local generation, dayCap = unpack(redis.call('HMGET', KEYS[1], 'generation', 'dayCap'))
if not generation then return {'lost'} end
local daySettled, dayReserved = unpack(redis.call('HMGET', KEYS[2], 'settled', 'reserved'))
local read = {'read', dayCap, daySettled or '0', dayReserved or '0'}
local key, arg = 3, 2
for _ = 1, tonumber(ARGV[1]) do
  local subjects = tonumber(ARGV[arg + 1])
  local cap, capBy, settled, reserved, steps =
    unpack(redis.call('HMGET', KEYS[key], 'cap', 'capBy', 'settled', 'reserved', 'steps'))
  local held = redis.call('HGET', KEYS[key + 1], ARGV[arg])
  local step = {cap, capBy, settled or '0', reserved or '0', steps or '0', held}
  for n = 1, subjects do step[6 + n] = redis.call('GET', KEYS[key + 1 + n]) end
  read[#read + 1] = step
  key, arg = key + 2 + subjects, arg + 2
end
return read
