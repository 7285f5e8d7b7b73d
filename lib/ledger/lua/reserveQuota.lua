--[[ reserveQuota.lua: hold one call's part of a provider's limits, of all of them or of none.
  KEYS[1]  state, hash   KEYS[2]  log, sorted set: each reservation by when it ends   KEYS[3]  pause
  (all with the hash tag of provider and model)
  ARGV[1]  id of the reservation; it begins with + for a batch call
  ARGV[2]  input tokens at most   ARGV[3]  output tokens at most
  ARGV[4]  how long a call counts, ms: the provider's window and the guard time
  ARGV[5]  limit of requests   ARGV[6]  of input tokens   ARGV[7]  of output tokens   ARGV[8]  of both; 0 for no limit
  ARGV[9]  parts per million of each limit that a batch call leaves to interactive ones; -1 for an interactive call
  ARGV[10]  parts per million of each limit that are the batch calls' share; 0 for an interactive call
  ARGV[11]  time in which the limits come to one such call, ms
  Output: {1, now in epoch ms, requests used, input tokens used, output tokens used}, all with this call
    | {0, wait in ms, binding limit: 1 to 4 in the order of the arguments, 5 a pause, 6 the first window,
        7 an even spread of batch calls} refused
    | {-1, limit} no window is large enough for the call
    | {-2} nobody counts yet: openQuota.lua comes first ]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'generation', 'requests', 'input', 'output', 'batch_due', 'batch_until',
  'need_input', 'need_output', 'outside_until', 'outside_1', 'outside_2', 'outside_3', 'outside_4', 'batch_requests',
  'batch_input', 'batch_output', 'even', 'ratio', 'need_share')
for i = 1, 19 do state[i] = tonumber(state[i]) or (i > 1 and 0) end
if not state[1] then return {-2} end
if now < state[1] then return {0, state[1] - now, 6} end
local pause = redis.call('PTTL', KEYS[3])
if pause > 0 then return {0, pause, 5} end

local input, output = tonumber(ARGV[2]), tonumber(ARGV[3])
local call = {1, input, output, input + output}
local limits = {tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])}
for i = 1, 4 do
  if limits[i] > 0 and call[i] > limits[i] then return {-1, i} end
end

-- What has ended goes first, a thousand at a time: more would hold Redis up, and is counted a little longer instead.
local requests, ins, outs = state[2], state[3], state[4]
local batchRequests, batchIns, batchOuts = state[14], state[15], state[16]
local function isBatchEntry(entry) return string.byte(entry, 1) == 43 end
local function keepSums(...)
  redis.call('HSET', KEYS[1], 'requests', requests, 'input', ins, 'output', outs, 'batch_requests', batchRequests,
    'batch_input', batchIns, 'batch_output', batchOuts, ...)
end
local ended = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1000)
if #ended > 0 then
  requests = requests - #ended
  for n = 1, #ended do
    local i, o = string.match(ended[n], ':(%d+):(%d+)$')
    ins, outs = ins - i, outs - o
    if isBatchEntry(ended[n]) then
      batchRequests, batchIns, batchOuts = batchRequests - 1, batchIns - i, batchOuts - o
    end
  end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, #ended - 1)
end

local others = {0, 0, 0, 0}
if now < state[9] then others = {state[10], state[11], state[12], state[13]} end
local used = {requests + others[1], ins + others[2], outs + others[3], ins + outs + others[4]}

local function fits(room)
  for i = 1, 4 do
    if limits[i] > 0 and used[i] + call[i] > room[i] then return false end
  end
  return true
end

-- When the log's oldest have ended so far that the call fits, with the limit that is the last to give way.
local function waitFor(room)
  local left, binding, open = {}, 1, 0
  for i = 1, 4 do
    left[i] = used[i] + call[i] - room[i]
    if limits[i] > 0 and left[i] > 0 then open = open + 1 else left[i] = 0 end
  end
  local function give(i, amount)
    if left[i] <= 0 then return end
    left[i] = left[i] - amount
    if left[i] <= 0 then open, binding = open - 1, i end
  end
  if open == 0 then return 0, 7 end
  local outsideLeft = now < state[9]
  local ends = now
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 63, 'WITHSCORES')
  for n = 1, #oldest, 2 do
    ends = tonumber(oldest[n + 1])
    if outsideLeft and state[9] <= ends then
      outsideLeft = false
      for i = 1, 4 do give(i, others[i]) end
      if open == 0 then return state[9] - now, binding end
    end
    local i, o = string.match(oldest[n], ':(%d+):(%d+)$')
    give(1, 1)
    give(2, tonumber(i))
    give(3, tonumber(o))
    give(4, i + o)
    if open == 0 then return math.max(1, ends - now), binding end
  end
  if outsideLeft and #oldest < 128 then ends = math.max(ends, state[9]) end
  for i = 1, 4 do
    if left[i] > 0 then binding = i end
  end
  return math.max(1, ends - now), binding
end

local isBatch = ARGV[9] ~= '-1'
local callTime = tonumber(ARGV[11])
-- Where all calls, evenly spread, would have got to: those that may wait keep to it, so that a backlog does not fill the
-- window at once and leave it closed to others until it ends. Reckoned with what calls use of what they reserve.
local even = state[17]
local ratio = 1
if state[18] > 0 then ratio = state[18] end
-- A batch call is due where such calls have less than their share of the window, and it is time for the next.
local due = state[5]
local isWaitedFor = now < state[6]
local batch = {batchRequests, batchIns, batchOuts, batchIns + batchOuts}
local share, shareTime
if isBatch then
  share = ARGV[10] / 1000000
  shareTime = callTime / share
end
if isBatch and batchRequests > 0 then
  for i = 1, 4 do
    if limits[i] > 0 and batch[i] + call[i] > limits[i] * share then due = math.huge end
  end
end
local room = limits
if isBatch and now < due then
  local kept = 1 - ARGV[9] / 1000000
  room = {math.floor(limits[1] * kept), math.floor(limits[2] * kept), math.floor(limits[3] * kept),
    math.floor(limits[4] * kept)}
elseif not isBatch and isWaitedFor then
  -- Batch calls wait for their share: what came to them while they did is not given to others.
  local need = {1, state[7], state[8], state[7] + state[8]}
  room = {}
  for i = 1, 4 do
    local owed = need[i] + limits[i] * state[19] * math.max(0, now - due) / ARGV[4]
    local missing = limits[i] * state[19] - batch[i]
    if batchRequests == 0 then missing = math.max(missing, need[i]) end
    room[i] = limits[i] - math.max(0, math.min(owed, missing))
  end
end

local ahead = 0
if isBatch and now < due then ahead = math.ceil(even - now - callTime * ratio - ARGV[4] / 100) end
if ahead > 0 or not fits(room) then
  if #ended > 0 then keepSums() end
  local wait, binding = waitFor(room)
  wait = math.max(wait, ahead)
  if isBatch then
    if now >= due then
      -- Nothing is saved up by those that do not wait.
      if not isWaitedFor then due = math.max(due, now - shareTime) end
      redis.call('HSET', KEYS[1], 'batch_until', now + wait + 1000, 'batch_due', due, 'need_input', ARGV[2],
        'need_output', ARGV[3], 'need_share', share)
    else
      wait = math.min(wait, math.max(due - now, (waitFor(limits))))
      if isWaitedFor then redis.call('HSET', KEYS[1], 'batch_until', now + wait + 1000) end
    end
  end
  return {0, wait, binding}
end

requests, ins, outs = requests + 1, ins + input, outs + output
if isBatch then
  batchRequests, batchIns, batchOuts = batchRequests + 1, batchIns + input, batchOuts + output
end
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[3])
-- A little faster than even, so that time that was lost is made up for.
even = math.max(even, now) + callTime * ratio / 1.05
if isBatch then
  -- From when it was due, so that its wait does not make the share smaller; where calls are waited for, that holds for
  -- one that came beyond the share too: those of a whole window may end at once, and the next share is owed then.
  local from, ends = now, state[6]
  if isWaitedFor and now >= state[5] then from, ends = math.max(state[5], now - ARGV[4]), now + 1000
  elseif now >= due then from = math.max(due, now - shareTime) end
  keepSums('even', even, 'batch_due', from + shareTime, 'batch_until', ends)
else
  keepSums('even', even)
end
return {1, now, requests, ins, outs}
