/** SHAKE-128 (FIPS 202) for test vectors: Keccak in 32-bit halves, because BigInt is slow. */

/** A sponge: takes bytes in, then gives bytes out for ever. */
export interface Shake128 {
  /** Only before the first {@link Shake128.read}. */
  write(bytes: Uint8Array): void
  read(length: number): Uint8Array<ArrayBuffer>
}

const RATE = 168
const ROUNDS = 24

// Each lane of 64 bits is two numbers: the low half, then the high one.
const roundConstants = new Int32Array(ROUNDS * 2)
const sources = new Int32Array(25)
const rotations = new Int32Array(25)

// FIPS 202, 3.2.5: the constants come from a shift register.
for (let round = 0, register = 1; round < ROUNDS; round++) {
  for (let j = 0; j < 7; j++) {
    const bit = (1 << j) - 1
    if (register & 1) roundConstants[2 * round + (bit >> 5)]! |= 1 << (bit & 31)
    register = (register << 1) ^ ((register >> 7) * 0x171)
  }
}

// FIPS 202, 3.2.2 and 3.2.3: which lane moves where, and by how much it is turned.
for (let t = 0, x = 1, y = 0; t < 24; t++) {
  const from = x + 5 * y
  ;[x, y] = [y, (2 * x + 3 * y) % 5]
  sources[x + 5 * y] = from
  rotations[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64
}

/** Starts with an empty input. */
export function createShake128(): Shake128 {
  const lanes = new Int32Array(50)
  const state = new Uint8Array(lanes.buffer)
  let at = 0
  let reading = false
  return {
    write(bytes) {
      if (reading) throw new Error('Cannot write: already read from')
      for (const byte of bytes) {
        state[at++]! ^= byte
        if (at === RATE) at = permute(lanes)
      }
    },
    read(length) {
      if (!reading) {
        reading = true
        state[at]! ^= 0x1f
        state[RATE - 1]! ^= 0x80
        at = permute(lanes)
      }
      const out = new Uint8Array(length)
      for (let i = 0; i < length; i++) {
        if (at === RATE) at = permute(lanes)
        out[i] = state[at++]!
      }
      return out
    },
  }
}

const columns = new Int32Array(10)
const turned = new Int32Array(50)

/** Keccak-f[1600]. Returns where the next byte goes: 0. */
function permute(a: Int32Array): 0 {
  const b = turned
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 10; i++)
      columns[i] = a[i]! ^ a[i + 10]! ^ a[i + 20]! ^ a[i + 30]! ^ a[i + 40]!
    for (let x = 0; x < 10; x += 2) {
      const left = (x + 8) % 10
      const right = (x + 2) % 10
      const low = columns[right]!
      const high = columns[right + 1]!
      const mixedLow = columns[left]! ^ ((low << 1) | (high >>> 31))
      const mixedHigh = columns[left + 1]! ^ ((high << 1) | (low >>> 31))
      for (let i = x; i < 50; i += 10) {
        a[i]! ^= mixedLow
        a[i + 1]! ^= mixedHigh
      }
    }
    for (let lane = 0; lane < 25; lane++) {
      const from = 2 * sources[lane]!
      const turn = rotations[lane]!
      // A turn by 32 or more begins with the halves swapped.
      const low = a[from + (turn >> 5)]!
      const high = a[from + 1 - (turn >> 5)]!
      const bits = turn & 31
      // Shifting by 32 would shift by 0, hence in two steps.
      b[2 * lane] = (low << bits) | ((high >>> 1) >>> (31 - bits))
      b[2 * lane + 1] = (high << bits) | ((low >>> 1) >>> (31 - bits))
    }
    for (let row = 0; row < 50; row += 10) {
      for (let x = 0; x < 10; x++) {
        a[row + x] = b[row + x]! ^ (~b[row + ((x + 2) % 10)]! & b[row + ((x + 4) % 10)]!)
      }
    }
    a[0]! ^= roundConstants[2 * round]!
    a[1]! ^= roundConstants[2 * round + 1]!
  }
  return 0
}
