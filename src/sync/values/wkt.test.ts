import { expect, test } from 'vitest'
import { readShape, writeShape } from './wkt.ts'

test.each([
  ['point( 10.50   -59.900 )', 'POINT(10.5 -59.9)'],
  ['SRID=4326; LineString (0 0, 1 1,2 1e2)', 'SRID=4326;LINESTRING(0 0,1 1,2 100)'],
  [
    'POLYGON((0 0,0 1,1 1,0 0),(0.1 0.1, .2 .1, .2 .2, .1 .1))',
    'POLYGON((0 0,0 1,1 1,0 0),(0.1 0.1,0.2 0.1,0.2 0.2,0.1 0.1))',
  ],
  ['MULTIPOINT((0 0),(1 1))', 'MULTIPOINT(0 0,1 1)'],
  ['MULTIPOINT(0 0,1 1)', 'MULTIPOINT(0 0,1 1)'],
  ['GEOMETRYCOLLECTION(POINT(1 2),MULTIPOINT((3 4)))', 'GEOMETRYCOLLECTION(POINT(1 2),MULTIPOINT(3 4))'],
  ['GEOMETRYCOLLECTION EMPTY', 'GEOMETRYCOLLECTION EMPTY'],
  ['POINT(0.00001234 -0)', 'POINT(0.00001234 0)'],
])('%s is written %s', (text, written) => {
  const shape = readShape(text)
  expect(shape && writeShape(shape)).toBe(written)
})

test.each([
  '',
  'nowhere',
  'POINT',
  'POINT(1)',
  'POINT(1 2',
  'POINT(1 2))',
  'POINT(1 2 3)',
  'POINT Z(1 2 3)',
  'CIRCLE(1 2)',
  'POINT(1 2) POINT(3 4)',
  'POINT(1e300 2)',
  'SRID=x;POINT(1 2)',
  'LINESTRING(0 0,1)',
  '(1 2)',
])('%j is no shape', (text) => {
  expect(readShape(text)).toBeNull()
})
