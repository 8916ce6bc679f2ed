/** S52 to S54 and M14: code of the user can harm neither this process, nor another row, nor what it was not given. */
import { readFileSync } from 'node:fs'

import { beforeAll, describe, expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import type { Row } from '#model/value.ts'
import { CODE_LIMITS, openCode, type Code, type Fault } from '#sync/sandbox/code.ts'
import { startNode } from '#test/harness/process.ts'

import type { HostReport } from './sandbox-host.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const INTEGER: ColumnType = { kind: 'integer', bits: 64 }
const COLUMNS = [
  { name: 'n', type: INTEGER },
  { name: 'secret', type: TEXT },
]
const OUTPUTS = [{ name: 'out', type: TEXT }]

function open(code: string, limits = CODE_LIMITS): Promise<Code> {
  return openCode(code, { columns: COLUMNS, outputs: OUTPUTS }, limits)
}

function isFault(result: Row | Fault | undefined): result is Fault {
  return result !== undefined && 'fault' in result
}

/** What becomes of a row whose code is hostile: a fault of a kind, or a result that does no harm. */
type Outcome = Fault['fault'] | 'harmless'

const CORPUS: readonly (readonly [name: string, code: string, ...outcomes: Outcome[]])[] = [
  // Time.
  ['endless loop', 'for (;;) {}', 'time'],
  ['endless loop that catches', 'for (;;) { try { for (;;) {} } catch (e) {} }', 'time'],
  ['endless loop in finally', 'try { throw 1 } finally { for (;;) {} }', 'time'],
  ['endless generator', 'for (const x of (function* () { for (;;) yield 1 })()) {}', 'time'],
  [
    'endless iterator in a spread',
    '[...{ [Symbol.iterator]: () => ({ next: () => ({ value: 0, done: false }) }) }]',
    'time',
    'memory',
    'threw',
  ],
  ['endless getter', 'return { get out() { for (;;) {} } }', 'time'],
  ['endless ownKeys trap', 'return new Proxy({}, { ownKeys() { for (;;) {} } })', 'time'],
  ['endless toString', 'return { out: `${{ toString() { for (;;) {} } }}` }', 'time'],
  ['endless sort comparator', '[3, 2, 1].sort(() => { for (;;) {} })', 'time'],
  ['endless JSON reviver', 'JSON.parse("[1]", () => { for (;;) {} })', 'time'],
  ['endless replacer', '"a".replace(/a/, () => { for (;;) {} })', 'time'],
  ['catastrophic pattern', '/(a+)+$/.test("a".repeat(40) + "b")', 'time'],
  ['catastrophic pattern with alternatives', '/^(a|a)*$/.test("a".repeat(60) + "b")', 'time'],
  ['catastrophic back reference', '/(.*)\\1(.*)\\2x/.test("ab".repeat(5000))', 'time'],
  ['huge power', 'const x = 7n ** 10000000n; return { out: String(x).slice(0, 5) }', 'time', 'memory', 'threw'],
  ['huge product', 'let x = 3n; for (let i = 0; i < 40; i++) x *= x; return { out: "x" }', 'time', 'memory', 'threw'],
  ['huge shift', 'return { out: String((1n << 100000000n) % 7n) }', 'time', 'memory', 'threw'],
  ['long number as text', 'return { out: String(9n ** 300000n).slice(0, 9) }', 'time', 'memory', 'threw', 'harmless'],
  [
    'sort of a large array',
    'const a = []; for (let i = 0; i < 300000; i++) a.push(i * 7919 % 300007); for (;;) a.sort()',
    'time',
    'memory',
    'threw',
  ],
  ['indexOf over and over', 'const s = "a".repeat(1e6); for (;;) s.indexOf("a".repeat(500) + "b")', 'time'],
  // Memory.
  ['array as text', 'return { out: Array(1e9) + "" }', 'time', 'memory', 'threw'],
  ['array of 100 million as text', 'return { out: new Array(1e8) + "" }', 'time', 'memory', 'threw'],
  ['array join', 'Array(1e9).join("xxxxxxxxxx")', 'time', 'memory', 'threw'],
  ['array fill', 'new Array(4e8).fill(0)', 'time', 'memory', 'threw'],
  ['allocation loop', 'const a = []; for (;;) a.push(new Array(1000).fill({}))', 'time', 'memory', 'threw'],
  [
    'allocation loop that catches',
    'const a = []; for (;;) try { for (;;) a.push("x".repeat(1e5) + a.length) } catch (e) {}',
    'time',
    'memory',
    'threw',
  ],
  ['string doubling', 'let s = "x"; for (;;) s += s', 'time', 'memory', 'threw'],
  ['string of 2^31', '"x".repeat(2 ** 31)', 'threw', 'memory'],
  ['string of 2^30', 'return { out: "x".repeat(2 ** 30 - 1) }', 'threw', 'memory', 'time'],
  ['padded to 2^30', '"x".padEnd(2 ** 30, "yz")', 'threw', 'memory', 'time'],
  ['typed array of a gigabyte', 'new Uint8Array(2 ** 30)', 'threw', 'memory'],
  ['buffers over and over', 'const a = []; for (;;) a.push(new ArrayBuffer(1e6))', 'time', 'memory', 'threw'],
  ['map without end', 'const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })', 'time', 'memory', 'threw'],
  ['objects without end', 'let o = {}; for (;;) o = { o }', 'time', 'memory', 'threw'],
  [
    'symbols without end',
    'const a = []; for (let i = 0; ; i++) a.push(Symbol.for("s" + i))',
    'time',
    'memory',
    'threw',
  ],
  ['result of two megabytes', 'return { out: "x".repeat(2e6) }', 'output'],
  ['result of a megabyte in four bytes', 'return { out: "😀".repeat(4e5) }', 'output'],
  // The stack.
  ['recursion', 'function f() { return f() + 1 } f()', 'threw'],
  ['recursion of getters', 'const o = { get a() { return this.a } }; o.a', 'threw'],
  [
    'recursion of proxies',
    'let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); p.x',
    'threw',
    'time',
    'memory',
  ],
  [
    'recursion of bound functions',
    'let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); f()',
    'threw',
    'time',
    'memory',
  ],
  ['JSON of great depth', 'JSON.parse("[".repeat(1e6) + "]".repeat(1e6))', 'threw', 'memory'],
  [
    'object of great depth as JSON',
    'let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; JSON.stringify(o)',
    'threw',
    'memory',
  ],
  ['pattern of great depth', 'new RegExp("(".repeat(1e5) + ")".repeat(1e5))', 'threw', 'memory'],
  ['flattening a ring', 'const a = []; a[0] = a; a.flat(Infinity)', 'threw', 'time', 'memory'],
  [
    'array as text of great depth',
    'let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return { out: a + "" }',
    'threw',
    'memory',
  ],
  // Ways out.
  ['process', 'return { out: String(process.env) }', 'threw'],
  ['require', 'return { out: require("fs").readFileSync("/etc/passwd") }', 'threw'],
  ['import', 'return { out: String(import("node:fs")) }', 'output', 'threw', 'harmless'],
  ['fetch', 'fetch("http://127.0.0.1:1/")', 'threw'],
  [
    'globals of the host',
    'return { out: [typeof process, typeof require, typeof fetch, typeof Buffer, typeof WebAssembly, typeof setTimeout, typeof module, typeof std, typeof os, typeof print].join() }',
    'harmless',
  ],
  ['constructor of functions', 'return { out: (() => 1).constructor("return globalThis")() }', 'threw', 'output'],
  [
    'constructor of generators',
    'return { out: Object.getPrototypeOf(function* () {}).constructor("yield 1")().next() }',
    'threw',
  ],
  [
    'constructor of async functions',
    'return { out: Object.getPrototypeOf(async () => 1).constructor("return 1") }',
    'threw',
    'output',
  ],
  ['eval', '(0, eval)("1")', 'threw'],
  ['clock', 'return { out: String(Date.now()) }', 'threw'],
  ['chance', 'return { out: String(Math.random()) }', 'threw'],
  ['time of the machine', 'return { out: String(performance.now()) }', 'threw'],
  ['shared memory', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)', 'threw'],
  ['watching the collector', 'new FinalizationRegistry(() => {}); new WeakRef({})', 'threw'],
  ['promise', 'return Promise.resolve({ out: "later" })', 'output'],
  ['async loop', '(async () => { for (;;) await 1 })()', 'harmless'],
  ['thenable', 'return { then(f) { f({ out: "x" }) } }', 'output'],
  ['a jump out of the function', 'arguments.callee.caller', 'threw'],
  // Prototypes.
  ['prototype of objects', 'Object.prototype.out = "x"', 'threw'],
  ['prototype by assignment', '({}).__proto__.polluted = 1', 'threw'],
  ['prototype of arrays', 'Array.prototype.push = () => { for (;;) {} }', 'threw'],
  ['JSON of the runner', 'JSON.stringify = () => "[[\\"sx\\"]]"', 'threw'],
  ['own functions of the runner', 'Set.prototype.has = () => true; return { secret: "x" }', 'threw'],
  ['global value', 'globalThis.x = 1', 'threw'],
  ['symbol on a prototype', 'Array.prototype[Symbol.iterator] = function* () { yield 1 }', 'threw'],
  ['species', 'Array[Symbol.species] = 1', 'threw'],
  ['the row', 'row.n = 5n', 'threw'],
  ['prototype of the row', 'Object.setPrototypeOf(row, { out: 1 })', 'threw'],
  // S54: outputs that are none.
  ['another column', 'return { out: "x", id: 5n }', 'output'],
  ['hidden column by a symbol', 'return { out: "x", [Symbol("id")]: 1 }', 'output'],
  ['column __proto__', 'return { out: "x", ["__proto__"]: 1 }', 'output'],
  ['no column', 'return {}', 'output'],
  ['array', 'return ["x"]', 'output'],
  ['function as a value', 'return { out: () => 1 }', 'output'],
  ['object as a value', 'return { out: { toString: () => "x" } }', 'output'],
  ['number into a text', 'return { out: 1 }', 'output'],
  ['half of a pair', 'return { out: "\\ud800" }', 'output'],
  ['U+0000', 'return { out: "a\\0b" }', 'output'],
  ['a fault of its own making', 'throw { output: row.secret }', 'output', 'threw'],
  ['an error with a message', 'throw new Error(row.secret)', 'threw'],
  [
    'an error with a name',
    'const e = new Error("x"); Object.defineProperty(e, "name", { value: row.secret }); throw e',
    'threw',
  ],
  [
    'an error with getters',
    'throw Object.defineProperty(new Error("x"), "message", { get() { for (;;) {} } })',
    'time',
    'threw',
  ],
  ['null thrown', 'throw null', 'threw'],
]

/** The code is hostile in the middle one of three rows. */
function hostile(code: string): string {
  return `if (row.n === 1n) { ${code} }\nreturn { out: 'ok' + row.n }`
}

const SECRET = 'canary-7f3a'
const ROWS: readonly Row[] = [
  ['0', SECRET],
  ['1', SECRET],
  ['2', SECRET],
]

const MEGABYTE = 1024 * 1024

describe('S52: a corpus of hostile code', () => {
  let report: HostReport

  beforeAll(async () => {
    const stdin = JSON.stringify({ scripts: CORPUS.map(([, code]) => hostile(code)), rows: ROWS })
    const flags = ['--max-semi-space-size=2', '--max-old-space-size=400']
    await using host = startNode([...flags, 'test/hazards/sandbox-host.ts'], { stdin })
    const { code, stdout, stderr } = await host.exit
    if (code !== 0) throw new Error(stderr)
    report = JSON.parse(stdout) as HostReport
  }, 600_000)

  test.each(CORPUS.map(([name, , ...outcomes], i) => [name, i, outcomes] as const))('%s', (_, i, outcomes) => {
    const [first, middle, last] = report.results[i] ?? []
    expect(first).toEqual(['ok0'])
    expect(last).toEqual(['ok2'])
    const outcome = isFault(middle) ? middle.fault : 'harmless'
    expect(outcomes, JSON.stringify(middle)).toContain(outcome)
    const told = isFault(middle) ? middle.reason : String(middle)
    expect(told).not.toContain(SECRET)
    expect(told).not.toContain('function')
  })

  test('nothing of the host is there', async () => {
    const names = [
      'process',
      'require',
      'fetch',
      'Buffer',
      'WebAssembly',
      'setTimeout',
      'module',
      'std',
      'os',
      'print',
      'Date',
    ]
    await using opened = await open(`return { out: [${names.map((name) => `typeof ${name}`).join(', ')}].join() }`)
    expect(await opened.run([['1', null]])).toEqual([[names.map(() => 'undefined').join()]])
  })

  test('the corpus has at least 60 scripts', () => {
    expect(CORPUS.length).toBeGreaterThanOrEqual(60)
  })

  test('M14: it cost its host neither memory nor turns', () => {
    console.log(`${Math.round(report.memory / MEGABYTE)} MB, ${Math.round(report.turn)} ms`)
    expect(report.memory).toBeLessThan(20 * MEGABYTE)
    expect(report.turn).toBeLessThan(100)
  })
})

describe('S53: no row finds what another one left', () => {
  test.each([
    [
      'a global value',
      'try { globalThis.count = (globalThis.count ?? 0) + 1 } catch (e) {} return { out: String(globalThis.count) }',
    ],
    [
      'a property of a function',
      'try { parseInt.count = (parseInt.count ?? 0) + 1 } catch (e) {} return { out: String(parseInt.count) }',
    ],
    [
      'a property of a prototype',
      'try { Map.prototype.count = 1 } catch (e) {} return { out: String(Map.prototype.count) }',
    ],
    [
      'an iterator prototype',
      'const p = Object.getPrototypeOf([][Symbol.iterator]()); try { p.count = 1 } catch (e) {} return { out: String(p.count) }',
    ],
    [
      'a generator prototype',
      'const p = Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())); const q = Object.getPrototypeOf(p); try { p.count = 1 } catch (e) {} try { q.count = 1 } catch (e) {} return { out: String(p.count) + q.count }',
    ],
    [
      'an async prototype',
      'const p = Object.getPrototypeOf(async function () {}); try { p.count = 1 } catch (e) {} return { out: String(p.count) }',
    ],
    [
      'a matchAll iterator',
      'const p = Object.getPrototypeOf("a".matchAll(/a/g)); try { p.count = 1 } catch (e) {} return { out: String(p.count) }',
    ],
    [
      'an iterator helper',
      'const p = Object.getPrototypeOf([].values().map((x) => x)); try { p.count = 1 } catch (e) {} return { out: String(p.count) }',
    ],
    [
      'a template object',
      'const f = (t) => t; const t = f`a`; try { t.count = 1 } catch (e) {} return { out: String(t.count) }',
    ],
    [
      'a wrapped iterator',
      'const p = Object.getPrototypeOf(Iterator.from({ next() { return { done: true } } })); try { p.count = 1 } catch (e) {} return { out: String(p.count) }',
    ],
    ['the last match', '"x".match(/(x)/); return { out: String(RegExp.$1) }'],
    [
      'a promise that waits',
      'Promise.resolve().then(() => { try { globalThis.later = 1 } catch (e) {} }); return { out: String(globalThis.later) }',
    ],
  ])('by %s', async (_, code) => {
    await using opened = await open(code)
    const rows: Row[] = Array.from({ length: 5 }, () => ['1', 'same'])
    const results = [...(await opened.run(rows)), ...(await opened.run(rows))]
    expect(results.some(isFault), JSON.stringify(results[0])).toBe(false)
    expect(new Set(results.map(String)).size).toBe(1)
  })

  test('code that ends its function to begin another is refused', async () => {
    await expect(
      open(
        'return {} }), (function () { let n = 0; return function () { return { out: String(n++) } } })(), (function () {',
      ),
    ).rejects.toThrow('cannot be read')
    await expect(open('return { out: ')).rejects.toThrow('cannot be read')
    await expect(open('x'.repeat(70_000))).rejects.toThrow('longer than')
    await expect(open('['.repeat(30_000))).rejects.toThrow('cannot be read')
  })
})

describe('what goes in and what comes out is exact', () => {
  const columns = [
    { name: 'i', type: INTEGER },
    { name: 'd', type: { kind: 'decimal', precision: null, scale: null } },
    { name: 'f', type: { kind: 'float', bits: 64 } },
    { name: 'r', type: { kind: 'float', bits: 32 } },
    { name: 'b', type: { kind: 'boolean' } },
    { name: 't', type: { kind: 'timestamp', zoned: true, digits: 6 } },
    { name: 'p', type: { kind: 'decimal', precision: 4, scale: 2 } },
    { name: 's', type: { kind: 'timestamp', zoned: false, digits: 0 } },
    { name: '__proto__', type: TEXT },
    { name: 'constructor', type: TEXT },
  ] as const
  const row = [
    '9223372036854775807',
    '1.10',
    '1e+22',
    '1e+06',
    't',
    '2024-02-29 23:59:59.999999+00',
    '12.30',
    '2024-02-29 23:59:59',
    'p',
    null,
  ]

  test('C1, C3, C19: every form of a cell, and names of any kind', async () => {
    const code =
      'const o = {}; for (const k of Object.keys(row)) Object.defineProperty(o, k, { value: row[k], enumerable: true }); return o'
    await using opened = await openCode(code, { columns, outputs: columns })
    expect(await opened.run([row, columns.map(() => null)])).toEqual([row, columns.map(() => null)])
  })

  test.each([
    ['i', '9223372036854775808n'],
    ['i', '1.5'],
    ['i', '"1"'],
    ['i', '9007199254740993'],
    ['d', '0.1'],
    ['d', '"1,5"'],
    ['d', '"1e5"'],
    ['p', '"1.005"'],
    ['p', '100n'],
    ['s', '"2024-02-29 23:59:59.5"'],
    ['f', '"1"'],
    ['b', '"t"'],
    ['t', '"2024-02-30 00:00:00+00"'],
    ['t', '"2024-02-29T00:00:00Z"'],
  ])('%s does not take %s', async (name, value) => {
    const outputs = columns.filter((column) => column.name === name)
    await using opened = await openCode(`return { ${name}: ${value} }`, { columns, outputs })
    expect(await opened.run([row])).toMatchObject([{ fault: 'output' }])
  })

  test('invariant 6: many and large rows pass in pieces', async () => {
    await using opened = await openCode('return { out: row.secret }', { columns: COLUMNS, outputs: OUTPUTS })
    const rows: Row[] = Array.from({ length: 2_500 }, (_, i) => [
      String(i),
      `${i}`.padStart(i % 100 === 0 ? 300_000 : 5, 'x'),
    ])
    expect(await opened.run(rows)).toEqual(rows.map(([, text]) => [text]))
    expect(
      await opened.run([
        ['1', 'x'.repeat(3_000_000)],
        ['2', new Uint8Array([0xff])],
        ['3', 'ok'],
      ]),
    ).toMatchObject([{ fault: 'input' }, { fault: 'input' }, ['ok']])
  })
})

describe('the process of a sandbox', () => {
  test('S52: has no environment, no rights beyond its files, and its own group', async () => {
    await using opened = await open('return { out: "x" }')
    const pid = String(opened.pid)
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toBe('')
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    expect(line).toContain('--permission')
    expect(
      line.filter((argument) => argument.startsWith('--allow') && !argument.startsWith('--allow-fs-read=')),
    ).toEqual([])
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    expect(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]).toBe(pid)
  })

  test('M14: a batch whose process is killed is halved to the row that did it, and the others go on', async () => {
    await using opened = await open('return { out: "x" + row.n }')
    const rows: Row[] = Array.from({ length: 900 }, (_, i) => [String(i), ''])
    const first = opened.pid
    const running = opened.run(rows)
    process.kill(first ?? 0, 'SIGKILL')
    expect(await running).toEqual(rows.map(([n]) => [`x${n}`]))
    expect(opened.pid).not.toBe(first)
  })

  test('a process that is killed again and again is given up', async () => {
    const limits = { ...CODE_LIMITS, residentBytes: 1, maxRestarts: 2 }
    await expect(
      (async () => {
        await using opened = await open('for (let i = 0; i < 1e6; i++) {} return { out: "x" }', limits)
        await opened.run(Array.from({ length: 100 }, () => ['1', '']))
      })(),
    ).rejects.toMatchObject({ code: 'sandbox_failed' })
  })

  test('a process that stands still is killed', async () => {
    await using opened = await open('return { out: "x" + row.n }', { ...CODE_LIMITS, wallMs: 300 })
    const first = opened.pid ?? 0
    process.kill(first, 'SIGSTOP')
    expect(
      await opened.run([
        ['1', ''],
        ['2', ''],
      ]),
    ).toEqual([['x1'], ['x2']])
    expect(opened.pid).not.toBe(first)
  })
})
