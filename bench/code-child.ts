/**
 * One small function of JavaScript over many rows: `code-child.ts sandbox|closure ROWS`. In the sandbox as the engine runs
 * it, or as a plain closure of this process that is fed by JSON, batch by batch, as a program without a sandbox would do.
 */
import { openCode } from '#sync/sandbox/code.ts'

const [way = 'sandbox', count = '1000000'] = process.argv.slice(2)
const BATCH = 1_000
const CODE = `return { label: row.name.trim().toUpperCase() + '-' + (row.id % 97n), cents: row.price.replace('.', '') }`

function* batches(rows: number): Generator<[string, string, string][]> {
  for (let start = 0; start < rows; start += BATCH) {
    const size = Math.min(BATCH, rows - start)
    yield Array.from({ length: size }, (_, i) => [
      String(start + i),
      ` name of ${start + i} `,
      `${(start + i) % 1000}.99`,
    ])
  }
}

let length = 0
if (way === 'sandbox') {
  const columns = ['id', 'name', 'price'].map((name) => ({
    name,
    type: name === 'id' ? ({ kind: 'integer', bits: 64 } as const) : ({ kind: 'text', maxLength: null } as const),
  }))
  const outputs = ['label', 'cents'].map((name) => ({ name, type: { kind: 'text', maxLength: null } as const }))
  await using code = await openCode(CODE, { columns, outputs })
  for (const rows of batches(Number(count))) {
    for (const result of await code.run(rows)) length += 'fault' in result ? 0 : (result[0]?.length ?? 0)
  }
} else {
  const closure = (row: { id: bigint; name: string; price: string }): { label: string; cents: string } => ({
    label: `${row.name.trim().toUpperCase()}-${row.id % 97n}`,
    cents: row.price.replace('.', ''),
  })
  for (const rows of batches(Number(count))) {
    const given = JSON.parse(JSON.stringify(rows)) as [string, string, string][]
    const made = given.map(([id, name, price]) => closure({ id: BigInt(id), name, price }))
    for (const { label } of JSON.parse(JSON.stringify(made)) as { label: string }[]) length += label.length
  }
}
console.log(JSON.stringify({ way, rows: Number(count), length }))
