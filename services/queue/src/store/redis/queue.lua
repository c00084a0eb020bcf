#!lua name=malla_queue_2
-- The queue on Redis: every change is one function, so it is atomic; ARGV[1] is the time in milliseconds, 0 for the server's.
-- The name carries a version: processes of two versions may use one Redis, each with its own functions.
--
-- KEYS of a queue, all in one slot:
--   1 meta     hash: seq (last place), open_ms (registered until), again (the latest push that came again)
--   2 entries  hash: id -> what is known of the message, see `pack`
--   3 bodies   hash: id -> body
--   4 ready    zset by seq: may be received       5 dead    zset by seq: received too often
--   6 delayed  zset by end: given back or pushed with a delay
--   7 leased   zset by end: held by a consumer
--   8 settled  zset: ready and dead ones by since when they are
--   9 keys     hash: idempotency key -> fingerprint, id      10 key_times  zset of keys by time
--  11 acks     hash: id -> receipt of what was taken away    12 ack_times  zset of acks by time

-- Messages moved, keys and tombstones removed in one call, so that none is long.
local STEP = 100
-- How long a queue is known to be registered, see `push`.
local OPEN_MS = 60000
local KEY_MS = 86400000
local TOMBSTONE_MS = 600000

local function time(given)
  if given ~= '0' then return tonumber(given) end
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end

local function text(number) return string.format('%.0f', number) end

local function load_entry(k, id)
  local packed = redis.call('HGET', k[2], id)
  if not packed then return nil end
  local seq, pushed, visible, attempts, final, bytes, receipt = unpack(cmsgpack.unpack(packed))
  return { id = id, seq = seq, pushed = pushed, visible = visible, attempts = attempts, final = final, bytes = bytes,
    receipt = receipt }
end

local function save(k, e)
  redis.call('HSET', k[2], e.id,
    cmsgpack.pack({ e.seq, e.pushed, e.visible, e.attempts, e.final, e.bytes, e.receipt }))
end

-- Takes a message out of whichever set it is in.
local function lift(k, id)
  for _, set in ipairs({ 4, 5, 6, 7, 8 }) do redis.call('ZREM', k[set], id) end
end

-- Ready, or dead if its last delivery was the last one allowed.
local function settle(k, e)
  redis.call('ZADD', k[e.final == 1 and 5 or 4], text(e.seq), e.id)
  redis.call('ZADD', k[8], text(e.visible), e.id)
end

-- Moves on what has come to the end of a delay or a lease; whether there may be more of it.
local function advance(k, now)
  local moved = 0
  for _, set in ipairs({ 7, 6 }) do
    local due = redis.call('ZRANGE', k[set], '-inf', text(now), 'BYSCORE', 'LIMIT', 0, STEP - moved)
    for _, id in ipairs(due) do
      redis.call('ZREM', k[set], id)
      settle(k, load_entry(k, id))
    end
    moved = moved + #due
    if moved >= STEP then return 1 end
  end
  return 0
end

-- A message that has left comes back with no second push, and its receipt is known when it comes again.
local function bury(k, id, receipt, now)
  redis.call('HSET', k[11], id, receipt)
  redis.call('ZADD', k[12], text(now), id)
end

local function remove(k, id)
  lift(k, id)
  redis.call('HDEL', k[2], id)
  redis.call('HDEL', k[3], id)
end

local function shown(k, e)
  return { text(e.seq), e.id, text(e.pushed), text(e.visible), e.receipt, text(e.attempts), redis.call('HGET', k[3], e.id) }
end

-- The entry that this receipt holds now.
local function held(k, id, receipt, now)
  local e = load_entry(k, id)
  if e and e.receipt ~= '' and e.receipt == receipt and e.visible > now and redis.call('ZSCORE', k[7], id) then return e end
end

-- A push that finds its message there. It writes all the same: WAIT, since Redis 7.2, waits for what its own connection
-- has written, and the message is of another.
local function again(k, id)
  redis.call('HSET', k[1], 'again', id)
  return { 'ok', id }
end

-- now, id, body, delay_ms, messages_max, open (1: it has just been registered), key, fingerprint, keys_max
local function push(k, a)
  local now, id, key = time(a[1]), a[2], a[7]
  -- The answer to this very push was lost.
  if redis.call('HEXISTS', k[2], id) == 1 or redis.call('HEXISTS', k[11], id) == 1 then return again(k, id) end
  if key ~= '' then
    local known = redis.call('HGET', k[9], key)
    if known and tonumber(redis.call('ZSCORE', k[10], key)) > now - KEY_MS then
      local fingerprint, first = unpack(cmsgpack.unpack(known))
      if fingerprint ~= a[8] then return { 'reused' } end
      return again(k, first)
    end
    if not known and redis.call('HLEN', k[9]) >= tonumber(a[9]) then return { 'keys' } end
  end
  if redis.call('HLEN', k[2]) >= tonumber(a[5]) then return { 'full' } end
  if a[6] == '1' then
    redis.call('HSET', k[1], 'open_ms', text(now + OPEN_MS))
  elseif tonumber(redis.call('HGET', k[1], 'open_ms') or 0) <= now then
    return { 'closed' }
  end
  if key ~= '' then
    redis.call('HSET', k[9], key, cmsgpack.pack({ a[8], id }))
    redis.call('ZADD', k[10], text(now), key)
  end
  local delay = tonumber(a[4])
  local e = { id = id, seq = redis.call('HINCRBY', k[1], 'seq', 1), pushed = now, visible = now + delay, attempts = 0,
    final = 0, bytes = #a[3], receipt = '' }
  save(k, e)
  redis.call('HSET', k[3], id, a[3])
  if delay > 0 then redis.call('ZADD', k[6], text(e.visible), id) else settle(k, e) end
  return { 'ok', id }
end

-- now
local function pop(k, a)
  local now = time(a[1])
  advance(k, now)
  local id = redis.call('ZRANGE', k[4], 0, 0)[1]
  if not id then return {} end
  local message = shown(k, load_entry(k, id))
  remove(k, id)
  bury(k, id, '', now)
  return { message }
end

-- now, limit, visibility_ms, receipt, receives_max, bytes_max
local function receive(k, a)
  local now, sum, received = time(a[1]), 0, {}
  advance(k, now)
  for _, id in ipairs(redis.call('ZRANGE', k[4], 0, tonumber(a[2]) - 1)) do
    local e = load_entry(k, id)
    sum = sum + e.bytes
    if sum > tonumber(a[6]) and #received > 0 then break end
    lift(k, id)
    e.visible, e.receipt, e.attempts = now + tonumber(a[3]), a[4], e.attempts + 1
    e.final = e.attempts >= tonumber(a[5]) and 1 or 0
    save(k, e)
    redis.call('ZADD', k[7], text(e.visible), id)
    received[#received + 1] = shown(k, e)
  end
  return received
end

-- now, id, receipt
local function ack(k, a)
  local now, id = time(a[1]), a[2]
  if held(k, id, a[3], now) then
    remove(k, id)
    bury(k, id, a[3], now)
    return 1
  end
  if a[3] == '' or redis.call('HGET', k[11], id) ~= a[3] then return 0 end
  return tonumber(redis.call('ZSCORE', k[12], id)) > now - TOMBSTONE_MS and 1 or 0
end

-- now, id, receipt, delay_ms
local function nack(k, a)
  local now = time(a[1])
  local e = held(k, a[2], a[3], now)
  if not e then return 0 end
  lift(k, e.id)
  e.receipt, e.visible = '', now + tonumber(a[4])
  save(k, e)
  if e.visible > now then redis.call('ZADD', k[6], text(e.visible), e.id) else settle(k, e) end
  return 1
end

-- now, receipt, then ids: those it was the last to hold are ready, as if not received
local function release(k, a)
  local now = time(a[1])
  for at = 3, #a do
    local e = load_entry(k, a[at])
    if e and e.receipt ~= '' and e.receipt == a[2] then
      lift(k, e.id)
      e.receipt, e.visible, e.attempts, e.final = '', now, e.attempts - 1, 0
      save(k, e)
      settle(k, e)
    end
  end
  return 1
end

-- now, id, receipt, visibility_ms; the new end
local function extend(k, a)
  local now = time(a[1])
  local e = held(k, a[2], a[3], now)
  if not e then return '0' end
  e.visible = now + tonumber(a[4])
  save(k, e)
  redis.call('ZADD', k[7], text(e.visible), e.id)
  return text(e.visible)
end

-- now, then id and receipt of each delivery; 1 for each that holds its message
local function held_all(k, a)
  local now, answers = time(a[1]), {}
  for at = 2, #a - 1, 2 do answers[#answers + 1] = held(k, a[at], a[at + 1], now) and 1 or 0 end
  return answers
end

-- now; more (come again), ready, delayed, leased, dead, age of the oldest ready one or -1
local function stats(k, a)
  local now = time(a[1])
  local more, age = advance(k, now), '-1'
  local oldest = redis.call('ZRANGE', k[4], 0, 0)[1]
  if oldest then age = text(now - load_entry(k, oldest).pushed) end
  local counts = { text(more) }
  for _, set in ipairs({ 4, 6, 7, 5 }) do counts[#counts + 1] = text(redis.call('ZCARD', k[set])) end
  counts[#counts + 1] = age
  return counts
end

-- now, after (seq), limit, bytes_max; more (come again), messages: of those too big to be sent together one more
local function dead(k, a)
  local more, sum, letters = advance(k, time(a[1])), 0, {}
  for _, id in ipairs(redis.call('ZRANGE', k[5], '(' .. a[2], '+inf', 'BYSCORE', 'LIMIT', 0, tonumber(a[3]))) do
    local e = load_entry(k, id)
    letters[#letters + 1] = shown(k, e)
    sum = sum + e.bytes
    if sum > tonumber(a[4]) and #letters > 1 then break end
  end
  return { text(more), letters }
end

-- now; more (come again), how many were redriven
local function redrive(k, a)
  local now = time(a[1])
  local more = advance(k, now)
  local ids = redis.call('ZRANGE', k[5], 0, STEP - 1)
  for _, id in ipairs(ids) do
    local e = load_entry(k, id)
    lift(k, id)
    e.visible, e.receipt, e.attempts, e.final = now, '', 0, 0
    save(k, e)
    settle(k, e)
  end
  return { text((more == 1 or #ids == STEP) and 1 or 0), text(#ids) }
end

-- Members of a zset up to a time, with what belongs to them.
local function forget(k, hash, times, end_ms)
  local old = redis.call('ZRANGE', k[times], '-inf', text(end_ms), 'BYSCORE', 'LIMIT', 0, STEP)
  for _, member in ipairs(old) do
    redis.call('ZREM', k[times], member)
    redis.call('HDEL', k[hash], member)
  end
  return #old
end

-- now, retention_ms; more (come again), how many messages were removed, whether the queue is closed: with nothing in it
local function sweep(k, a)
  local now = time(a[1])
  local more = advance(k, now)
  local old = redis.call('ZRANGE', k[8], '-inf', text(now - tonumber(a[2])), 'BYSCORE', 'LIMIT', 0, STEP)
  for _, id in ipairs(old) do remove(k, id) end
  local forgotten = math.max(forget(k, 9, 10, now - KEY_MS), forget(k, 11, 12, now - TOMBSTONE_MS), #old)
  local empty = redis.call('HLEN', k[2]) == 0 and tonumber(redis.call('HGET', k[1], 'open_ms') or 0) <= now
  local gone = empty and redis.call('HLEN', k[9]) == 0 and redis.call('HLEN', k[11]) == 0
  if gone then redis.call('DEL', k[1]) end
  return { text((more == 1 or forgotten == STEP) and 1 or 0), text(#old), text(empty and 1 or 0), text(gone and 1 or 0) }
end

-- The register of queues, in a slot of its own. KEYS: 1 zset of queues that count by when they were last opened,
-- 2 set of all queues that have left something behind.

-- now, queue, queues_max
local function open(k, a)
  if not redis.call('ZSCORE', k[1], a[2]) and redis.call('ZCARD', k[1]) >= tonumber(a[3]) then return 0 end
  redis.call('ZADD', k[1], text(time(a[1])), a[2])
  redis.call('SADD', k[2], a[2])
  return 1
end

-- now, queue, gone. A queue that was opened lately stays: its first message may be under way.
local function close(k, a)
  local opened = redis.call('ZSCORE', k[1], a[2])
  if opened and tonumber(opened) > time(a[1]) - OPEN_MS then return 0 end
  redis.call('ZREM', k[1], a[2])
  if a[3] == '1' then redis.call('SREM', k[2], a[2]) end
  return 1
end

-- Loading a library, Lua's own functions are not there yet. Where memory has run out, only what adds messages is refused.
local function register(name, callback, flag)
  redis.register_function({ function_name = 'malla_queue_2_' .. name, callback = callback, flags = { flag } })
end
register('push', push)
register('open', open)
register('close', close, 'allow-oom')
register('pop', pop, 'allow-oom')
register('receive', receive, 'allow-oom')
register('ack', ack, 'allow-oom')
register('nack', nack, 'allow-oom')
register('release', release, 'allow-oom')
register('extend', extend, 'allow-oom')
register('held', held_all, 'allow-oom')
register('stats', stats, 'allow-oom')
register('dead', dead, 'allow-oom')
register('redrive', redrive, 'allow-oom')
register('sweep', sweep, 'allow-oom')
