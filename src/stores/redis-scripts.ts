/**
 * The Lua of stores in Redis: needed when Redis does not know it yet, and loaded then.
 *
 * The beginnings of names come as keys, for clients that put a prefix of their own before keys:
 * `KEYS[1]` is a record's key, or the beginning of all of them, and `KEYS[2]` that of index keys.
 *
 * Without `#!lua flags=allow-key-locking`, which would let Upstash lock less, and `allow-oom`: Redis 6
 * knows no flags, and Redis 7 refuses flags that it does not know. Where memory is full, Redis
 * refuses a script's commands that need more of it, until the script has written something.
 */
import { ENTRY_TAIL } from './copy.ts'

/** Puts an id into the index of some keys, for so many milliseconds by Redis' own clock. */
const ENLIST = `local function enlist(run,keys,id,ms)
local n=redis.call('TIME')
n=n[1]*1000+math.floor(n[2]/1000)
for k in keys:gmatch('%S+') do
local s=KEYS[2]..k
run('ZREMRANGEBYSCORE',s,'-inf',n)
run('ZADD',s,n+ms,id)
if redis.call('PTTL',s)<tonumber(ms) then run('PEXPIRE',s,ms) end
end
end
`

/**
 * Reads a record, and touches its index keys: a Redis that evicts what was used least recently would
 * drop the index of a user before the sessions. What it dropped all the same is there again then.
 */
export const READ: string = `${ENLIST}local c=redis.call('GET',KEYS[1]) or ''
local keys=c:match('^[^\\n]*\\n%d+\\n[^\\n]*\\n%d*\\n([^\\n]*)\\n') or ''
for k in keys:gmatch('%S+') do
local z=redis.pcall('ZSCORE',KEYS[2]..k,ARGV[1])
if type(z)=='table' and z.err and not z.err:find('WRONGTYPE',1,true) then return z end
if not z then
local ms=redis.call('PTTL',KEYS[1])
if ms>0 then enlist(redis.pcall,k,ARGV[1],ms) end
end
end
return c`

/**
 * Writes as `applyWrite` specifies. Answers 1: done; { 1, record }: done, and this is there; 0 or a
 * record: refused, and that is there. Expiry is relative, so that no clock but Redis' own counts.
 */
export const WRITE: string = `${ENLIST}local c=redis.call('GET',KEYS[1])
local now=tonumber(ARGV[7])
local mark=c and c:match('^!(%d+)$')
if mark then
if tonumber(mark)>now then return 0 end
c=nil
end
local old=''
if c then
local v,e,p,k,r=c:match('^([^\\n]*)\\n(%d+)\\n([^\\n]*)\\n%d*\\n([^\\n]*)\\n[^\\n]*(.*)$')
if not v then return c end
old=k
if tonumber(e)<=now then
if ARGV[1]~='' then return 0 end
else
local x=ARGV[8]
if v==ARGV[2] then return r=='' and 1 or {1,c} end
if x~='' and (r..'\\n'):find('\\n'..x..'\\n',1,true) then return {1,c} end
local _,n=r:gsub('\\n','')
if (n>0 and v..'%2B'..n..'.'..r:sub(-${ENTRY_TAIL}):match('[^\\n]*$') or v)~=ARGV[1] then
if x=='' or ARGV[1]=='' or p~=ARGV[3] then return c end
if n>=tonumber(ARGV[9]) or #r-n+#x>tonumber(ARGV[10]) then return c end
c=c..'\\n'..x
redis.call('SET',KEYS[1],c,'KEEPTTL')
return {1,c}
end
end
elseif ARGV[1]~='' then
return 0
end
redis.call('SET',KEYS[1],ARGV[2]..'\\n'..ARGV[5],'PX',ARGV[4])
for k in old:gmatch('%S+') do
if not (' '..ARGV[11]..' '):find(' '..k..' ',1,true) then redis.call('ZREM',KEYS[2]..k,ARGV[6]) end
end
enlist(redis.call,ARGV[11],ARGV[6],ARGV[4])
return 1`

/** Returns what is under a key, also where it is of another type: '' then, as no record of ours is. */
const GET = `local function get(key)
local c=redis.pcall('GET',key)
if type(c)~='table' then return c end
return c.err:find('WRONGTYPE',1,true) and '' or redis.call('GET',key)
end
`

/**
 * Ends one session: removes the record and its index entries, then puts the mark in its place. Where
 * memory is full the mark may be missing, unless the record asked for it. With `only`, a record that has not this
 * index key stays. What is no record of ours is ended: it may be one of this key that a newer version wrote.
 */
const FINISH = `${GET}local function finish(key,id,now,ms,only)
local c=get(key)
local e,m,k=(c or ''):match('^[^\\n]*\\n(%d+)\\n[^\\n]*\\n(%d*)\\n([^\\n]*)\\n')
local live=e and tonumber(e)>now
local mark=c and c:match('^!(%d+)$')
if only and (not c or mark or e and not (live and (' '..k..' '):find(' '..only..' ',1,true))) then return 0 end
if mark and tonumber(mark)-now>=ms then return 0 end
for one in (k or ''):gmatch('%S+') do redis.pcall('ZREM',KEYS[2]..one,id) end
if not mark then redis.call('DEL',key) end
if live and m~='' then ms=math.max(ms,m*1000) end
if ms>0 then
local r=redis.pcall('SET',key,'!'..string.format('%.0f',now+ms),'PX',ms)
if r.err and live and m~='' then return r end
end
return live and 1 or 0
end
`

export const END: string = `${FINISH}return finish(KEYS[1],ARGV[1],tonumber(ARGV[2]),tonumber(ARGV[3]))`

/** The ids of an index key and their records, alternating; ids without a record go. */
export const LIST: string = `${GET}local r={}
local s=KEYS[2]..ARGV[1]
for _,i in ipairs(redis.call('ZRANGE',s,0,-1)) do
local c=get(KEYS[1]..i)
if c then r[#r+1]=i r[#r+1]=c else redis.pcall('ZREM',s,i) end
end
return r`

/** Ends the live sessions of an index key, but one, and says how many. */
export const END_ALL: string = `${FINISH}local n=0
local s=KEYS[2]..ARGV[1]
for _,i in ipairs(redis.call('ZRANGE',s,0,-1)) do
if i~=ARGV[2] then
local r=finish(KEYS[1]..i,i,tonumber(ARGV[3]),tonumber(ARGV[4]),ARGV[1])
if type(r)=='table' then return r end
n=n+r
redis.call('ZREM',s,i)
end
end
return n`

/** A step of a scan: the next cursor, then ids and records, alternating. */
export const PAGE: string = `${GET}local m=KEYS[1]:gsub('[%[%]%^%*%?\\\\]','\\\\%0')..'*'
local s=redis.call('SCAN',ARGV[1],'MATCH',m,'COUNT',500)
local r={s[1]}
for _,k in ipairs(s[2]) do
local c=get(k)
if c then r[#r+1]=k:sub(#KEYS[1]+1) r[#r+1]=c end
end
return r`

export type ScriptName = 'READ' | 'WRITE' | 'END' | 'LIST' | 'END_ALL' | 'PAGE'

const SCRIPTS: Readonly<Record<ScriptName, string>> = { READ, WRITE, END, LIST, END_ALL, PAGE }

/**
 * Returns the text of a script.
 *
 * One function with a fixed name instead of an export each, because bundlers drop exports of a
 * dynamic import that they do not see used: webpack up to 5.98 takes a computed name for a literal one.
 */
export function scriptOf(name: ScriptName): string {
  return SCRIPTS[name]
}
