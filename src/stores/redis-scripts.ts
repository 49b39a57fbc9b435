/**
 * The Lua of stores in Redis: needed when Redis does not know it yet, and loaded then.
 *
 * What a name begins with comes as a key too, for clients that put a prefix of their own before keys.
 */

/** The names of the scripts. */
export type ScriptName = 'WRITE' | 'LIST' | 'BURY' | 'PAGE'

/**
 * Returns the text of a script.
 *
 * One function with a fixed name instead of an export each, because bundlers drop exports of a
 * dynamic import that they do not see used: webpack up to 5.98 takes a computed name for a literal one.
 */
export function scriptOf(name: ScriptName): string {
  switch (name) {
    case 'WRITE':
      return WRITE
    case 'LIST':
      return LIST
    case 'BURY':
      return BURY
    case 'PAGE':
      return PAGE
  }
}

/**
 * Compare-and-set. A version among the last eight was written by an earlier attempt of the same
 * write: it is done, even when others have written since. Expiry is relative, so that no clock but
 * Redis' own counts; `TIME` does that for the index.
 *
 * Without `#!lua flags=allow-key-locking`, which would let Upstash lock less: Redis 7 itself refuses
 * flags that it does not know.
 */
export const WRITE: string = `local c=redis.call('GET',KEYS[1])
local t=''
if c then
local e
t,e=c:match('^([^\\n]*)\\n(%d+)\\n')
if not t then return c end
if tonumber(e)<=tonumber(ARGV[6]) then c,t=nil,'' end
end
local p=ARGV[7]
if (' '..t..' '):find(' '..ARGV[2]..' ',1,true) then return 1 end
local v=t:match('^%S+') or ''
local function tags(s) return s:match('^'..('%S* ?'):rep(8)) end
local head='^[^\\n]*\\n%d+\\n[^\\n]*\\n'
if v~=ARGV[1] then
if not c or p=='' or ARGV[1]=='' or c:match(head..'!') then return c or 0 end
if (c..'\\n'):find('\\n'..p..'\\n',1,true) then return 2 end
local _,n=c:gsub('\\n','')
if n-3>=tonumber(ARGV[9]) then return c end
t=tags(v..' '..ARGV[2]..t:sub(#v+1))
redis.call('SET',KEYS[1],t..c:match('\\n.*')..'\\n'..p,'KEEPTTL')
return 2
end
local rest=c and c:match(head..'[^\\n]*'..('\\n[^\\n]*'):rep(tonumber(ARGV[8]))..'(.*)$') or ''
if rest~='' and ARGV[4]:match('!$') then return c end
redis.call('SET',KEYS[1],tags(ARGV[2]..' '..t)..'\\n'..ARGV[4]..rest,'PX',ARGV[3])
if not ARGV[4]:find('^%d+\\n\\n') then
local s=KEYS[2]
local n=redis.call('TIME')
n=n[1]*1000+math.floor(n[2]/1000)
redis.call('ZREMRANGEBYSCORE',s,'-inf',n)
redis.call('ZADD',s,n+ARGV[3],ARGV[5])
if redis.call('PTTL',s)<tonumber(ARGV[3]) then redis.call('PEXPIRE',s,ARGV[3]) end
end
return 1`

/** The ids of a subject and their records, alternating; ids without a record go. */
export const LIST: string = `local r={}
for _,i in ipairs(redis.call('ZRANGE',KEYS[1],0,-1)) do
local c=redis.call('GET',KEYS[2]..i)
if c then r[#r+1]=i r[#r+1]=c else redis.call('ZREM',KEYS[1],i) end
end
return r`

/** Puts a tombstone over the live records of a subject, but one, and says how many. */
export const BURY: string = `local n=0
for _,i in ipairs(redis.call('ZRANGE',KEYS[1],0,-1)) do
if i~=ARGV[1] then
local k=KEYS[2]..i
local t,e,o,v=(redis.call('GET',k) or ''):match('^([^\\n]*)\\n(%d+)\\n([^\\n]*)\\n([^\\n]*)')
if v and v~='!' and o==ARGV[5] and tonumber(e)>tonumber(ARGV[6]) then
redis.call('SET',k,(ARGV[2]..' '..t):match('^'..('%S* ?'):rep(8))..'\\n'..ARGV[4],'PX',ARGV[3])
n=n+1
end
redis.call('ZREM',KEYS[1],i)
end
end
return n`

/** A step of a scan: where to go on, then ids and records, alternating. */
export const PAGE: string = `local m=KEYS[1]:gsub('[%[%]%^%*%?\\\\]','\\\\%0')..'*'
local s=redis.call('SCAN',ARGV[1],'MATCH',m,'COUNT',500)
local r={s[1]}
for _,k in ipairs(s[2]) do
local c=redis.call('GET',k)
if c then r[#r+1]=k:sub(#KEYS[1]+1) r[#r+1]=c end
end
return r`
