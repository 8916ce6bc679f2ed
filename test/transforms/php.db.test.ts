/** Hazard C18: serialized PHP goes to JSON and back byte for byte, and what we write PHP reads. PHP itself is the oracle. */
import { expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import { compileChain } from '#sync/transforms/chain.ts'
import type { Context, Step } from '#sync/transforms/transform.ts'

import { runPhp } from '#test/harness/php.ts'
import { printedSeed } from '#test/harness/seed.ts'

const CONTEXT: Context = { lookup: () => () => undefined, maskKey: new Uint8Array(32) }
const BYTES: ColumnType = { kind: 'bytes' }
const VALUES = 100_000

function apply(steps: readonly Step[], type: ColumnType): (value: string) => string {
  const compiled = compileChain(steps, [type])
  if ('problems' in compiled) throw new Error(JSON.stringify(compiled.problems))
  const bound = compiled.chain.bind(CONTEXT)
  return (value) => String(bound([value]))
}

const toJson = apply([{ name: 'php_unserialize', args: {} }], BYTES)
const toPhp = apply([{ name: 'php_serialize', args: { to: 'bytes' } }], { kind: 'json', binary: false })

/** Random values of every kind, serialized by PHP, a line of hexadecimal each. */
const GENERATE = `
class Plain { public $a; protected $b; private $c; function __construct($a, $b, $c) { $this->a = $a; $this->b = $b; $this->c = $c; } }
class Custom { public $x = []; function __serialize(): array { return $this->x; } function __unserialize(array $x): void { $this->x = $x; } }
enum Suit: string { case Hearts = 'h'; case Spades = 's'; }
[$seed, $count] = explode(' ', stream_get_contents(STDIN));
mt_srand((int) $seed);
function text() {
  $kinds = ['', 'plain', 'Größe', '日本', '👍🏽', '";i:0;', "\\0*\\0b", "\\xff\\xfe", '7', '-7', '007', '-0', '$php', '__proto__', "a\\nb", '9223372036854775808', str_repeat('é', 300)];
  return $kinds[mt_rand(0, count($kinds) - 1)];
}
function value($depth) {
  switch (mt_rand(0, $depth > 3 ? 7 : 15)) {
    case 0: return null;
    case 1: return mt_rand(0, 1) === 1;
    case 2: return [0, 1, -1, PHP_INT_MAX, PHP_INT_MIN, mt_rand()][mt_rand(0, 5)];
    case 3: return [0.0, -0.0, 0.1, 1e100, -1.5e-7, INF, -INF, NAN, 1.0, 1/3, mt_rand() / 7, 1e15, 123456789012345678.0, 0.0001, 0.00001][mt_rand(0, 14)];
    case 4: case 5: case 6: return text();
    case 7: return [Suit::Hearts, Suit::Spades][mt_rand(0, 1)];
    case 8: case 9: case 10: $list = []; for ($i = mt_rand(0, 4); $i > 0; $i--) $list[] = value($depth + 1); return $list;
    case 11: case 12: $map = []; for ($i = mt_rand(0, 4); $i > 0; $i--) $map[mt_rand(0, 2) ? text() : mt_rand(-3, 3)] = value($depth + 1); return $map;
    case 13: return new Plain(value($depth + 1), value($depth + 1), value($depth + 1));
    case 14: $custom = new Custom(); $custom->x = [text() => value($depth + 1)]; return $custom;
    case 15: $a = ['x' => value($depth + 1)]; $a['same'] = &$a['x']; $o = new stdClass(); $o->self = $o; $a['o'] = $o; $a['again'] = $o; return $a;
  }
}
for ($i = 0; $i < (int) $count; $i++) echo bin2hex(serialize(value(0))), "\\n";
`

test(`C18: ${VALUES} random values of PHP come back byte for byte`, async () => {
  const lines = (await runPhp(GENERATE, `${printedSeed()} ${VALUES}`)).trim().split('\n')
  expect(lines).toHaveLength(VALUES)
  const wrong = lines.filter((line) => toPhp(toJson(`\\x${line}`)) !== `\\x${line}`)
  expect(wrong).toEqual([])
})

test('C18: what is written of plain JSON, PHP reads as the same value', async () => {
  const texts = [
    '{"title":"Größe 👍","sizes":[1,2,{"w":-5}],"on":true,"off":false,"none":null,"empty":[]}',
    '[0.1,-0.5,1e100,1e15,1e16,1e17,12345678901234567e1,0.0001,0.00012,123456789012345680,0.00001,9223372036854775807,-9223372036854775808,1.5e300,-1.25e-7]',
    '{"7":"a","-7":"b","007":"c","":"d","__proto__":"e"}',
    '"text"',
    'null',
  ]
  const ours = texts.map((text) => toPhp(text).slice(2)).join('\n')
  const script = `foreach (explode("\\n", stream_get_contents(STDIN)) as $line) { $v = unserialize(hex2bin($line), ['allowed_classes' => false]); echo bin2hex(serialize($v)), ' ', json_encode($v, JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_UNICODE), "\\n"; }`
  const answers = (await runPhp(script, ours)).trim().split('\n')
  expect(answers.map((answer) => answer.split(' ')[0])).toEqual(ours.split('\n'))
  const told = answers.map((answer): unknown => JSON.parse(answer.slice(answer.indexOf(' ') + 1)))
  expect(told).toEqual(texts.map((text): unknown => JSON.parse(text)))
})
