import type { CodeMessage } from './frames.ts'

/** Bytes of a row's result in UTF-8: more never leaves the sandbox. */
const MAX_RESULT = 1_000_000
/** Characters of results after which they are sent, so that the memory of the sandbox holds them. */
const MAX_CHUNK = 1_000_000

/**
 * The program that runs inside QuickJS, around the user's code. Results are an array with an element per row: an array of
 * cells in the order of the outputs, each null or a text of which the first letter says what follows: `s` a string,
 * `i` a bigint, `n` a number, `b` true or false.
 *
 * Everything that every row can reach is frozen, and whatever makes code, time, chance or shared memory is taken away,
 * so that no row can leave anything for another and the same row gives the same result always (S53).
 */
export function guestProgram({ code, columns, outputs }: CodeMessage): string {
  const cells = columns.map(({ name, as }, i) => `${keySource(name)}: ${cellSource(as, `c[${i}]`)}`)
  return `(function () {
'use strict'
const make = Function
const { parse, stringify } = JSON
const { ownKeys, getPrototypeOf } = Reflect
const { freeze, getOwnPropertyDescriptor } = Object
const { isArray } = Array
const toBigInt = BigInt, toNumber = Number, toText = String
const outputs = parse(${JSON.stringify(JSON.stringify(outputs))})
const allowed = new Set(outputs)
const has = Function.prototype.call.bind(Set.prototype.has)
const codeAt = Function.prototype.call.bind(String.prototype.charCodeAt)

${FREEZE}
const rowOf = make('c', 'freeze', 'toBigInt', 'toNumber', ${JSON.stringify(`'use strict'; return freeze({ __proto__: null, ${cells.join(', ')} })`)})
const user = make('row', ${JSON.stringify(`'use strict';${code}\n`)})

${RUNNER}
})()`
}

/** A key that is written out would set the prototype, where it is this one. */
function keySource(name: string): string {
  return name === '__proto__' ? `['__proto__']` : JSON.stringify(name)
}

function cellSource(as: CodeMessage['columns'][number]['as'], cell: string): string {
  switch (as) {
    case 'bigint':
      return `${cell} === null ? null : toBigInt(${cell})`
    case 'number':
      return `${cell} === null ? null : toNumber(${cell})`
    case 'boolean':
      return `${cell} === null ? null : ${cell} === 't'`
    case 'string':
      return cell
  }
}

/** Takes away what is not for a pure function, and freezes the rest, with the prototypes that only syntax reaches. */
const FREEZE = `
const hidden = [
  function () {}, function* () {}, async function () {}, async function* () {},
  (function* () {})(), (async function* () {})(), [][Symbol.iterator](), ''[Symbol.iterator](),
  new Map().entries(), new Set().values(), 'a'.matchAll(/a/g), Uint8Array, /a/, Object(Symbol.iterator), Object(1n),
]
for (const one of hidden) {
  for (let object = one; object !== null && object !== undefined; object = getPrototypeOf(object)) {
    const constructor = getOwnPropertyDescriptor(object, 'constructor')
    if (constructor && /^(Async)?(Generator)?Function$/.test(constructor.value && constructor.value.name)) {
      delete object.constructor
    }
  }
}
for (const name of ['eval', 'Function', 'Date', 'SharedArrayBuffer', 'Atomics', 'WeakRef', 'FinalizationRegistry', 'performance', 'console', 'queueMicrotask', 'navigator', 'gc', 'print', 'std', 'os', 'bjson', 'scriptArgs']) {
  delete globalThis[name]
}
delete Math.random
const frozen = new Set()
const waiting = [globalThis, ...hidden]
while (waiting.length > 0) {
  const object = waiting.pop()
  if ((typeof object !== 'object' && typeof object !== 'function') || object === null || frozen.has(object)) continue
  frozen.add(object)
  for (const key of ownKeys(object)) {
    const property = getOwnPropertyDescriptor(object, key)
    waiting.push(property.value, property.get, property.set)
  }
  waiting.push(getPrototypeOf(object))
}
// Views of memory cannot be frozen, and there is none that rows share.
for (const object of frozen) freeze(object)
`

/** Calls the code row by row. Whatever it throws ends the run, and with it the runtime: what it did there is not known. */
const RUNNER = `
let rows = [], at = 0, results = []

function cell(value, name) {
  if (value === null) return null
  switch (typeof value) {
    case 'string': return 's' + value
    case 'bigint': return 'i' + toText(value)
    case 'number': return 'n' + toText(value)
    case 'boolean': return value ? 'bt' : 'bf'
    case 'undefined': throw { output: 'has no ' + name }
    default: throw { output: 'has no text, number, truth value or null as ' + name }
  }
}

/** In UTF-8, where each half of a pair stands for two of its four bytes. */
function bytesOf(cells) {
  let bytes = 0
  for (let i = 0; i < cells.length; i++) {
    const one = cells[i]
    if (one === null) continue
    for (let at = 0; at < one.length; at++) {
      const unit = codeAt(one, at)
      bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit & 0xf800) === 0xd800 ? 2 : 3
    }
  }
  return bytes
}

function checked(result) {
  if (typeof result !== 'object' || result === null || isArray(result)) throw { output: 'is no object' }
  const names = ownKeys(result)
  for (let i = 0; i < names.length; i++) {
    if (!has(allowed, names[i])) throw { output: 'has a column that the mapping does not give' }
  }
  const cells = []
  let length = 0
  for (let i = 0; i < outputs.length; i++) {
    const one = cell(result[outputs[i]], outputs[i])
    if (one !== null) length += one.length
    cells[i] = one
  }
  // No character of a string takes more than three bytes.
  if (length > ${MAX_RESULT} || (length * 3 > ${MAX_RESULT} && bytesOf(cells) > ${MAX_RESULT})) {
    throw { output: 'is longer than ${MAX_RESULT} bytes' }
  }
  return { cells, length }
}

function faultOf(thrown) {
  let reason = 'Error', detail = '', line = 0, fault = 'threw'
  try {
    const output = typeof thrown === 'object' && thrown !== null && getOwnPropertyDescriptor(thrown, 'output')
    if (output && getPrototypeOf(thrown) === Object.prototype && ownKeys(thrown).length === 1) {
      return { fault: 'output', reason: toText(output.value), detail: '', line: 0 }
    }
    if (thrown instanceof Error) {
      reason = toText(thrown.name)
      detail = toText(thrown.message)
      const place = /<anonymous>:(\\d+)|<input>:(\\d+)/.exec(toText(thrown.stack))
      // The engine writes two lines before the code.
      if (place) line = toNumber(place[1] || place[2]) - 2
      if (reason === 'InternalError' && /memory/.test(detail)) fault = 'memory'
    } else {
      reason = 'a value that is no Error'
      detail = typeof thrown === 'string' ? thrown : typeof thrown
    }
  } catch (again) {}
  return { fault, reason, detail, line }
}

return {
  load(json) {
    rows = parse(json)
    at = 0
  },
  run() {
    results = []
    let length = 0
    while (at < rows.length && length < ${MAX_CHUNK}) {
      let done
      try {
        done = checked(user(rowOf(rows[at], freeze, toBigInt, toNumber)))
      } catch (thrown) {
        return 'f' + stringify({ results, fault: faultOf(thrown) })
      }
      results[results.length] = done.cells
      length += done.length
      at++
    }
    return (at < rows.length ? 'm' : 'd') + stringify(results)
  },
  results() {
    return stringify(results)
  },
}
`
