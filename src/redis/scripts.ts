/**
 * One Lua script for each call of the relay, which Redis and Valkey run atomically. A script makes every check that can refuse the
 * call before its first write, so that a call is stored whole or not at all. Time is that of the server (`TIME`). Values are passed
 * as arguments only; the text of a script is constant. README.md lists the keys; `KEYS[1]` is their common prefix: `{prefix}`.
 */

import { CLAIMED } from '../relay/engine.ts';

/** The version of the key layout. A relay refuses keys of any other version. */
export const LAYOUT = '1';

/** The most streams that one call deletes. */
export const DELETED_AT_ONCE = 500;

/** How long after its retention time a stream expires, in milliseconds, where no instance runs that purges it. */
const EXPIRE_AFTER_MS = 600_000;

/** The common beginning of all scripts. `ARGV[1]` is the layout. An empty field is ''. */
const COMMON = `
local root = KEYS[1]
local known = redis.call('GET', root .. ':version')
if known and known ~= ARGV[1] then
  return redis.error_reply('LASTCHUNK_LAYOUT ' .. string.sub(known, 1, 16))
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local leases, following, turns, over = root .. ':leases', root .. ':following', root .. ':turns', root .. ':over'
local function streamOf(id) return root .. ':stream:' .. id end
local function bodyOf(id) return root .. ':body:' .. id end
local function ownedBy(instance) return root .. ':owned:' .. instance end
local function stopsOf(instance) return root .. ':stops:' .. instance end
local function claimedBy(instance) return instance .. '${CLAIMED}' end
local function whole(number) return string.format('%.0f', number) end

-- A conversation is encoded: '' for none, else '=' and its name. Sets the score of a stream in it; without a score removes the stream.
local function place(conversation, id, score)
  if conversation == '' then return end
  local key = root .. ':conversation:' .. string.sub(conversation, 2)
  if score then redis.call('ZADD', key, whole(score), id) else redis.call('ZREM', key, id) end
  local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  if not newest[2] then return end
  if tonumber(newest[2]) >= 0 then return redis.call('PERSIST', key) end
  local last = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  redis.call('PEXPIREAT', key, whole(${EXPIRE_AFTER_MS} - last[2]))
end

-- Updates the indexes and the expiry of a stream after its fields have changed.
local function file(id)
  local key = streamOf(id)
  local owner, conversation, ending, settled, doomed, started, stop =
    unpack(redis.call('HMGET', key, 'owner', 'conversation', 'end', 'settled', 'until', 'started', 'stop'))
  if ending ~= '' and settled == '1' then
    redis.call('ZADD', over, doomed, id)
    redis.call('SREM', ownedBy(owner), id)
    local at = whole(doomed + ${EXPIRE_AFTER_MS})
    redis.call('PEXPIREAT', key, at)
    redis.call('PEXPIREAT', bodyOf(id), at)
    place(conversation, id, -doomed)
  else
    redis.call('ZREM', over, id)
    redis.call('SADD', ownedBy(owner), id)
    redis.call('PERSIST', key)
    redis.call('PERSIST', bodyOf(id))
    place(conversation, id, ending == '' and tonumber(started) or 0)
  end
  if ending == '' and stop == '1' then
    redis.call('SADD', stopsOf(owner), id)
  else
    redis.call('SREM', stopsOf(owner), id)
  end
end

local function isHeld(instance)
  local untilMs = redis.call('ZSCORE', leases, instance)
  return untilMs and tonumber(untilMs) > now
end

-- Settles a stream and, where it has no end, gives it an irregular one.
local function breakOff(id, retainMs)
  local key = streamOf(id)
  local ending, doomed = unpack(redis.call('HMGET', key, 'end', 'until'))
  if ending == '' then
    ending = '{"isTidy":false,"length":' .. redis.call('STRLEN', bodyOf(id)) ..
      ',"outcome":"interrupted","save":null}'
  end
  if doomed == '' then doomed = whole(now + retainMs) end
  redis.call('HSET', key, 'end', ending, 'until', doomed, 'settled', '1', 'held', '')
  file(id)
end
`;

/**
 * ARGV: 2 instance, 3 registers ('1'), 4 lease (ms), 5 retention (ms), 6 exchanges that were acknowledged, 7 following (JSON), 8 to 11
 * the numbers of openings, states, settled streams and parts. These follow in this order. Opening: id, head, start and a state. State:
 * id, then conversation, held, ending, end. Settled: id. Part: id, at, length. The last argument is the bytes of all parts.
 */
const EXCHANGE = `
local instance, registers, leaseMs, retainMs = ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5])
local openings, states, settled, parts = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local statesAt = 12 + openings * 7
local settledAt = statesAt + states * 5
local partsAt, bytes, from = settledAt + settled, ARGV[#ARGV], 1

-- A failover or a restart can lose what was acknowledged. Then this server has counted fewer exchanges, or has fewer bytes of a body.
if not registers then
  if not redis.call('ZSCORE', leases, instance) then return {0} end
  local turn = redis.call('HGET', turns, instance)
  if not turn or tonumber(turn) < tonumber(ARGV[6]) then return {0} end
end
local opened, lengths, isOwn = {}, {}, {}
for at = 12, statesAt - 1, 7 do opened[ARGV[at]] = true end
for at = partsAt, #ARGV - 1, 3 do
  local id, offset = ARGV[at], tonumber(ARGV[at + 1])
  if not lengths[id] then
    local owner = redis.call('HGET', streamOf(id), 'owner')
    isOwn[id] = opened[id] or owner == instance
    lengths[id] = owner and redis.call('STRLEN', bodyOf(id)) or 0
  end
  if isOwn[id] then
    if offset > lengths[id] then return {0} end
    lengths[id] = math.max(lengths[id], offset + tonumber(ARGV[at + 2]))
  end
end

redis.call('ZADD', leases, whole(now + leaseMs), instance)
redis.call('HSET', following, instance, ARGV[7])
local turn = redis.call('HINCRBY', turns, instance, 1)
if not known then redis.call('SET', root .. ':version', ARGV[1]) end

local changed = {}
local function change(id, at)
  local key = streamOf(id)
  local before = redis.call('HGET', key, 'conversation')
  if before and before ~= ARGV[at] then place(before, id) end
  local doomed = ''
  if ARGV[at + 3] ~= '' then doomed = whole(now + retainMs) end
  redis.call('HSET', key, 'conversation', ARGV[at], 'held', ARGV[at + 1], 'ending', ARGV[at + 2],
    'end', ARGV[at + 3], 'until', doomed)
  changed[#changed + 1] = id
end
for at = 12, statesAt - 1, 7 do
  local id = ARGV[at]
  local key = streamOf(id)
  local owner = redis.call('HGET', key, 'owner')
  if owner then
    redis.call('SREM', ownedBy(owner), id)
    redis.call('SREM', stopsOf(owner), id)
  else
    redis.call('DEL', bodyOf(id))
    redis.call('HSET', key, 'started', ARGV[at + 2], 'stop', '0')
  end
  redis.call('HSET', key, 'owner', instance, 'head', ARGV[at + 1], 'settled', '0')
  change(id, at + 3)
end
local function owns(id) return redis.call('HGET', streamOf(id), 'owner') == instance end
for at = statesAt, settledAt - 1, 5 do
  if owns(ARGV[at]) then change(ARGV[at], at + 1) end
end
for at = partsAt, #ARGV - 1, 3 do
  local id, offset, size = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local known = isOwn[id] and redis.call('STRLEN', bodyOf(id)) or math.huge
  local rest = offset + size > known and string.sub(bytes, from + known - offset, from + size - 1) or ''
  if rest ~= '' then redis.call('APPEND', bodyOf(id), rest) end
  from = from + size
end
for at = settledAt, partsAt - 1 do
  local id = ARGV[at]
  if owns(id) then
    redis.call('HSET', streamOf(id), 'settled', '1')
    changed[#changed + 1] = id
  end
end
for _, id in ipairs(changed) do file(id) end

local sizes = {}
for at = 12, statesAt - 1, 7 do sizes[#sizes + 1] = redis.call('STRLEN', bodyOf(ARGV[at])) end
local followed, hasExpired = {}, 0
for _, other in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
  if other ~= instance then
    if isHeld(other) then
      followed[#followed + 1] = redis.call('HGET', following, other) or '[]'
    else
      hasExpired = 1
    end
  end
end
return {1, turn, hasExpired, sizes, redis.call('SMEMBERS', stopsOf(instance)), followed}
`;

/** ARGV: 2 a stream, or '' and 3 a conversation. */
const FIND = `
local id = ARGV[2]
if id == '' then
  id = redis.call('ZREVRANGEBYSCORE', root .. ':conversation:' .. ARGV[3], '+inf', '(0', 'LIMIT', 0, 1)[1]
  if not id then return false end
end
local conversation, head, ending, doomed =
  unpack(redis.call('HMGET', streamOf(id), 'conversation', 'head', 'end', 'until'))
if not head or (doomed ~= '' and tonumber(doomed) <= now) then return false end
return {id, conversation, head, ending}
`;

/** ARGV: 2 '1' to read held bytes too, 3 the most bytes for each position; then id and offset of each position. */
const READ = `
local withHeld, maxBytes, found = ARGV[2] == '1', tonumber(ARGV[3]), {}
for at = 4, #ARGV, 2 do
  local id, offset = ARGV[at], tonumber(ARGV[at + 1])
  local held, ending, doomed = unpack(redis.call('HMGET', streamOf(id), 'held', 'end', 'until'))
  local tail = false
  if held and (withHeld or doomed == '' or tonumber(doomed) > now) then
    local last = offset + maxBytes
    if held ~= '' and not withHeld then last = math.min(last, tonumber(held)) end
    local body = ''
    if last > offset then body = redis.call('GETRANGE', bodyOf(id), whole(offset), whole(last - 1)) end
    tail = {body, ending}
  end
  found[#found + 1] = tail
end
return found
`;

/** ARGV: 2 a stream. */
const COMMAND = `
local owner, ending = unpack(redis.call('HMGET', streamOf(ARGV[2]), 'owner', 'end'))
if not owner or ending ~= '' then return 0 end
redis.call('HSET', streamOf(ARGV[2]), 'stop', '1')
file(ARGV[2])
return 1
`;

/** ARGV: 2 the claimant, 3 retention (ms), 4 '1' to return the streams that it claimed before too. */
const CLAIM = `
local claimant, claims = ARGV[2], {}
if not isHeld(claimant) then return claims end
for _, id in ipairs(ARGV[4] == '1' and redis.call('SMEMBERS', ownedBy(claimedBy(claimant))) or {}) do
  local settled, head, ending = unpack(redis.call('HMGET', streamOf(id), 'settled', 'head', 'ending'))
  if settled == '0' then claims[#claims + 1] = {id, head, ending} end
end
local dead
for _, other in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', whole(now), 'LIMIT', 0, 2)) do
  if other ~= claimant then dead = dead or other end
end
if not dead then return claims end
for _, id in ipairs(redis.call('SUNION', ownedBy(dead), ownedBy(claimedBy(dead)))) do
  local key = streamOf(id)
  local settled, head, ending = unpack(redis.call('HMGET', key, 'settled', 'head', 'ending'))
  if settled == '1' then
    breakOff(id, tonumber(ARGV[3]))
  elseif settled then
    redis.call('HSET', key, 'owner', claimedBy(claimant))
    file(id)
    claims[#claims + 1] = {id, head, ending}
  end
end
redis.call('DEL', ownedBy(dead), ownedBy(claimedBy(dead)), stopsOf(dead), stopsOf(claimedBy(dead)))
for _, key in ipairs({following, turns}) do redis.call('HDEL', key, dead) end
redis.call('ZREM', leases, dead)
return claims
`;

/** ARGV: 2 the instance, 3 retention (ms); then ids. */
const SETTLED = `
for at = 4, #ARGV do
  local owner = redis.call('HGET', streamOf(ARGV[at]), 'owner')
  if owner == claimedBy(ARGV[2]) then breakOff(ARGV[at], tonumber(ARGV[3])) end
end
return 1
`;

/** ARGV: 2 '' for streams whose retention time is over, else '=' and a conversation. */
const PURGE = `
local ids
if ARGV[2] == '' then
  ids = redis.call('ZRANGEBYSCORE', over, '-inf', whole(now), 'LIMIT', 0, ${DELETED_AT_ONCE})
else
  ids = redis.call('ZRANGE', root .. ':conversation:' .. string.sub(ARGV[2], 2), 0, ${DELETED_AT_ONCE - 1})
end
for _, id in ipairs(ids) do
  local owner, conversation = unpack(redis.call('HMGET', streamOf(id), 'owner', 'conversation'))
  redis.call('DEL', streamOf(id), bodyOf(id))
  redis.call('ZREM', over, id)
  if owner then
    redis.call('SREM', ownedBy(owner), id)
    redis.call('SREM', stopsOf(owner), id)
  end
  place(conversation or ARGV[2], id)
end
return #ids
`;

/** The script of each call of a relay. */
export const SCRIPTS = {
  exchange: COMMON + EXCHANGE,
  find: COMMON + FIND,
  read: COMMON + READ,
  command: COMMON + COMMAND,
  claim: COMMON + CLAIM,
  settled: COMMON + SETTLED,
  purge: COMMON + PURGE,
} as const;
