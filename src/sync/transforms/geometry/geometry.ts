/** Shapes of MySQL and MariaDB as well-known text, and back. */
import { z } from 'zod'

import { isSpatial, type ColumnType } from '#model/column-type.ts'

import { fail, ofText, type Accepts, type Transform } from '#sync/transforms/transform.ts'
import { text, TEXT } from '#sync/transforms/types.ts'
import { readShape, writeShape } from '#sync/values/wkt.ts'

const GEOMETRY: ColumnType = { kind: 'other', native: 'geometry(geometry)' }

const spatial: Accepts = { says: 'a geometry of MySQL or MariaDB', takes: isSpatial }

const srid = z.int().min(0).max(4_294_967_295).optional().meta({
  description:
    'The reference system that all shapes have: 4326 for longitude and latitude. Texts do not name it then, and a shape of another one is rejected. Without it each text names its own, as SRID=4326;POINT(10 59.9).',
})

const toWkt = ofText({
  name: 'geometry_to_wkt',
  group: 'Geometry',
  summary: 'Writes a shape as well-known text, x before y, which is longitude before latitude.',
  args: z.strictObject({ srid }),
  accepts: spatial,
  result: TEXT,
  loses: null,
  inverse: (args) => ({ name: 'wkt_to_geometry', args }),
  example: {
    args: { srid: 4326 },
    types: [{ kind: 'other', native: 'geometry(point)' }],
    input: ['SRID=4326;POINT(10.75 59.91)'],
    output: 'POINT(10.75 59.91)',
  },
  make:
    ({ srid: wanted }) =>
    (value) => {
      const shape = readShape(value)
      if (shape === null) return fail('the shape has coordinates that are not written plainly, or more than two')
      if (wanted === undefined) return writeShape(shape)
      if (shape.srid !== wanted) return fail(`the shape has the SRID ${shape.srid}, and not ${wanted}`)
      return shape.wkt
    },
})

const fromWkt = ofText({
  name: 'wkt_to_geometry',
  group: 'Geometry',
  summary: 'Reads well-known text of two dimensions, x before y, as a shape of MySQL or MariaDB.',
  args: z.strictObject({ srid }),
  accepts: text,
  result: GEOMETRY,
  loses: 'the spelling',
  inverse: 'the former spelling is not kept',
  example: {
    args: { srid: 4326 },
    input: ['point (10.750 59.91)'],
    output: 'SRID=4326;POINT(10.75 59.91)',
  },
  make:
    ({ srid: wanted }) =>
    (value) => {
      const shape = readShape(value)
      if (shape === null) return fail('the text is no shape of two dimensions as well-known text')
      const own = shape.srid ?? wanted
      if (own === undefined) return fail('the text names no SRID, and the argument "srid" is not given')
      if (wanted !== undefined && own !== wanted) return fail(`the text has the SRID ${own}, and not ${wanted}`)
      return writeShape({ srid: own, wkt: shape.wkt })
    },
})

export const GEOMETRIES: readonly Transform[] = [toWkt, fromWkt]
