/**
 * The scripts that Redis runs, each of them in one piece: nobody sees a half of one. They use nothing newer than Redis 6.2,
 * and `TIME` and `INFO` come before their writes, which are replicated as effects. See docs/redis.md for keys and races.
 */

export interface Script {
  readonly text: string;
  /** How many of the arguments are keys. */
  readonly keys: number;
}

/** A replica answers scripts that only read, and may be behind: it is not what was asked. */
const MASTER = `
if redis.replicate_commands then redis.replicate_commands() end
local replication = redis.call('INFO', 'replication')
if string.match(replication, 'role:(%a+)') ~= 'master' then
  return redis.error_reply('READONLY this server is a replica')
end
local time = redis.call('TIME')
local wall = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
`;

/**
 * Opens the log: makes its epoch a new one where something may be lost, and drops what is expired.
 *
 * KEYS: meta (hash), entries (stream of \`<offset>-0\`), copies (sorted set, dedupeKey by offset).
 * ARGV: an epoch to use where a new one is needed, retention in ms, most entries.
 *
 * Offsets have no gaps, so the stream has exactly top - floor entries; anything else was not done by these scripts.
 * What is written first here may be written with the memory full: else a server that is full could not be told from one
 * that lost something.
 */
const OPEN = `${MASTER}
local META, ENTRIES, COPIES = KEYS[1], KEYS[2], KEYS[3]
local FRESH, RETENTION, MOST = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function id(offset) return text(offset) .. '-0' end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local history = string.match(replication, 'master_replid:(%w+)') or ''
local earlier = string.match(replication, 'master_replid2:(%w+)') or ''

local meta = redis.call('HMGET', META, 'format', 'epoch', 'floor', 'top', 'run', 'history', 'last', 'skew')
if meta[1] and meta[1] ~= '1' then return redis.error_reply('ERR the keys are of another version of notify-listen') end
local epoch, floor, top = meta[2], tonumber(meta[3]), tonumber(meta[4])
local last, skew = tonumber(meta[7]) or 0, tonumber(meta[8]) or 0
local why = ''
if not epoch or redis.call('XLEN', ENTRIES) ~= top - floor then
  why = epoch and 'incomplete' or 'none'
  redis.call('UNLINK', META, ENTRIES, COPIES)
  epoch, floor, top, last, skew = FRESH, 0, 0, 0, 0
  redis.call('HSET', META, 'format', '1', 'epoch', epoch, 'floor', '0', 'top', '0', 'run', run, 'history', history)
elseif meta[5] ~= run or meta[6] ~= history then
  redis.call('HDEL', META, 'run', 'history')
  -- The first replica of a master, and an hour without one, begin a history too, and lose nothing: it has no earlier one.
  if meta[5] ~= run or string.match(earlier, '[^0]') then
    why = meta[5] ~= run and 'restarted' or 'promoted'
    epoch = FRESH
    redis.call('HSET', META, 'epoch', epoch)
  end
  redis.call('HSET', META, 'run', run, 'history', history)
end

-- A clock that never goes back, and goes on at its pace where the server's does.
local clock = wall + skew
if clock < last then
  clock, skew = last, last - wall
  redis.call('HDEL', META, 'skew')
  redis.call('HSET', META, 'skew', text(skew))
end

local function expired(offset)
  local found = redis.call('XRANGE', ENTRIES, id(offset), id(offset))
  return tonumber(found[1][2][2]) <= clock - RETENTION
end
local function drop(upto)
  if upto >= top then
    redis.call('UNLINK', ENTRIES, COPIES)
  else
    redis.call('XTRIM', ENTRIES, 'MINID', id(upto + 1))
    redis.call('ZREMRANGEBYSCORE', COPIES, '-inf', text(upto))
  end
  floor = upto
  redis.call('HSET', META, 'floor', text(floor))
end
if floor < top and expired(floor + 1) then
  -- Steps that double, then halves: a few entries are looked at, however many are dropped.
  local low, high, step = floor + 1, top + 1, 1
  while high - low > 1 do
    local probe = low + step
    if probe >= high then probe = math.floor((low + high) / 2) end
    if expired(probe) then low, step = probe, step * 2 else high, step = probe, 1 end
  end
  drop(low)
end
if top - floor > MOST then drop(top - MOST) end
`;

/** ARGV further: the channel of hints, then for each entry '' or '=' with its dedupeKey, and its JSON. */
export const APPEND: Script = {
  keys: 3,
  text: `
-- Refused when the memory is full, before anything else is written; afterwards nothing is.
redis.call('HSETNX', KEYS[1], 'format', '1')
${OPEN}
local answer = { epoch, why }
for at = 5, #ARGV, 2 do
  local key = ARGV[at]
  local known = key ~= '' and redis.call('ZSCORE', COPIES, key)
  if known then
    answer[#answer + 1] = text(tonumber(known))
  else
    top = top + 1
    redis.call('XADD', ENTRIES, id(top), 'at', text(clock), 'entry', ARGV[at + 1])
    if key ~= '' then redis.call('ZADD', COPIES, text(top), key) end
    answer[#answer + 1] = text(top)
  end
end
redis.call('HSET', META, 'top', text(top), 'last', text(clock))
if top - floor > MOST then drop(top - MOST) end
redis.call('PUBLISH', ARGV[4], text(top))
return answer
`,
};

/**
 * What there is at this moment. The entries are read before it, by a command: a script would take twenty times as long to
 * pass them on, and MULTI is refused when the memory is full.
 */
export const LOOK: Script = {
  keys: 3,
  text: `${OPEN}
return { epoch, why, text(floor), text(top) }
`,
};

/** ARGV further: the epoch that lost something. The entries that are left go on under the new one. */
export const RENEW: Script = {
  keys: 3,
  text: `${OPEN}
if epoch == ARGV[4] then
  why, epoch = 'behind', FRESH
  redis.call('HSET', META, 'epoch', epoch)
end
return { epoch, why }
`,
};

/**
 * KEYS: leases (hash, five fields for each name). ARGV: what to do, the name, then by what is done.
 *
 * A fence is at least the time, so that it grows also where the hash was lost. A holder whose time began in the future took
 * it before the clock went back: it is not held.
 */
export const LEASE: Script = {
  keys: 1,
  text: `${MASTER}
local LEASES, act, name = KEYS[1], ARGV[1], ARGV[2]
local found = redis.call('HMGET', LEASES, name .. ':fence', name .. ':holder', name .. ':since', name .. ':ttl')
local fence, holder = tonumber(found[1]) or 0, tonumber(found[2]) or 0
if act == 'claim' then
  local since, ttl = tonumber(found[3]) or 0, tonumber(found[4]) or 0
  if holder ~= 0 and since <= wall and wall < since + ttl then return false end
  fence = math.max(fence + 1, wall)
  redis.call('HSET', LEASES, name .. ':fence', text(fence), name .. ':holder', text(fence),
    name .. ':since', text(wall), name .. ':ttl', ARGV[3])
  return text(fence)
end
if act == 'checkpoint' then return redis.call('HGET', LEASES, name .. ':checkpoint') end
local own = tonumber(ARGV[3])
if act == 'move' then
  if fence ~= own then return 0 end
  redis.call('HSET', LEASES, name .. ':checkpoint', ARGV[4])
elseif holder ~= own then
  return 0
elseif act == 'renew' then
  redis.call('HSET', LEASES, name .. ':since', text(wall), name .. ':ttl', ARGV[4])
else
  redis.call('HDEL', LEASES, name .. ':holder')
end
return 1
`,
};

/**
 * KEYS: nodes (hash, \`<since> <ttl> <record>\` for each node). ARGV: the own node, its ttl, its record, the most nodes.
 * Answers with the records of the others. A ttl of 0 takes the own record away.
 */
export const SHARE: Script = {
  keys: 1,
  text: `${MASTER}
local all = redis.call('HGETALL', KEYS[1])
local others, oldest, first = {}, nil, nil
for at = 1, #all, 2 do
  local since, ttl, record = string.match(all[at + 1], '^(%d+) (%d+) (.*)$')
  since, ttl = tonumber(since), tonumber(ttl)
  if not since or since > wall or since + ttl <= wall or all[at] == ARGV[1] then
    redis.call('HDEL', KEYS[1], all[at])
  else
    others[#others + 1] = record
    if not first or since < first then oldest, first = all[at], since end
  end
end
if #others >= tonumber(ARGV[4]) then redis.call('HDEL', KEYS[1], oldest) end
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], text(wall) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
end
return others
`,
};

/** KEYS: meta, only for its node of a cluster. Answers with how full that server may become, and what it does then. */
export const MEMORY: Script = {
  keys: 1,
  text: `
local memory = redis.call('INFO', 'memory')
return { string.match(memory, 'maxmemory:(%d+)') or '0', string.match(memory, 'maxmemory_policy:([%w-]+)') or '' }
`,
};
