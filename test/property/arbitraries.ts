import fc from 'fast-check'

/** Names that mean something to objects. */
const HOSTILE_KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  'toJSON',
  'then',
  'length',
  '0',
  '-1',
  '',
  '\ud800',
  '\n',
]

/** Any sequence of UTF-16 code units, lone surrogates among them. */
const codeUnits = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
  maxLength: 8,
})

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme' }), codeUnits)
const key = fc.oneof(
  { weight: 2, arbitrary: text },
  { weight: 1, arbitrary: fc.constantFrom(...HOSTILE_KEYS) },
)

const objectOf = (values: fc.Arbitrary<unknown>, minLength: number) =>
  fc
    .array(fc.tuple(key, values), { minLength, maxLength: 5 })
    // Makes "__proto__" a key like any other.
    .map((entries): Record<string, unknown> => Object.fromEntries(entries))

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, -0, 1e21, 5e-324, Number.MAX_SAFE_INTEGER + 2),
    text,
    fc.constantFrom(...HOSTILE_KEYS),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.array(tie('value'), { maxLength: 5 }),
    objectOf(tie('value'), 0),
  ),
}))

/** Any value that JSON keeps. */
export const jsonValues: fc.Arbitrary<unknown> = fc.oneof(value, fc.jsonValue())

/** Any object of at least one such value. */
export const jsonObjects: fc.Arbitrary<Record<string, unknown>> = objectOf(jsonValues, 1)
