import { isSpatial, type ColumnType, type Form } from '#model/column-type.ts'

/**
 * Values in their forms, as SQL: each an expression whose text is, to the byte, what PostgreSQL writes for the value. All of
 * them are NULL for NULL, and texts in utf8mb4 under its binary collation, so that they may stand beside one another.
 */

/** A column in a form. */
export function inForm(column: string, type: ColumnType, form: Form): string {
  switch (form) {
    case 'own':
      return ownText(column, type)
    case 'text':
      return type.kind === 'boolean'
        ? `CASE ${column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE CONCAT(${column}) END`
        : ownText(column, type)
    case 'integer':
      return type.kind === 'boolean' ? `CONCAT(${column})` : ownText(column, type)
    case 'float64':
      return doubleText(column)
    case 'timestamp':
      return type.kind === 'date' ? `CONCAT(${column}, ' 00:00:00')` : ownText(column, type)
    default:
      return trimmedDecimal(`(${column} + 0)`)
  }
}

function ownText(column: string, type: ColumnType): string {
  switch (type.kind) {
    case 'boolean':
      return `CASE ${column} WHEN 0 THEN 'f' WHEN 1 THEN 't' ELSE CONCAT(${column}) END`
    case 'integer':
      // Without the zeros that ZEROFILL writes in front.
      return type.unsigned ? `CONCAT(CAST(${column} AS UNSIGNED))` : `CONCAT(${column} + 0)`
    case 'decimal':
      return `CONCAT(${column} + 0)`
    case 'float':
      return doubleText(column)
    case 'timestamp':
      return type.zoned ? `CONCAT(${withoutZeros(column, type.digits)}, '+00')` : withoutZeros(column, type.digits)
    case 'time':
      return withoutZeros(column, type.digits)
    case 'date':
    case 'uuid':
      return `CONCAT(${column})`
    case 'bytes':
      return `CONCAT('\\\\x', LOWER(HEX(${column})))`
    case 'text':
    case 'padded text':
      return type.charset === undefined ? `${column} COLLATE utf8mb4_bin` : anyText(column)
    case 'other': {
      if (isSpatial(type)) return shapeText(column)
      const [, bits] = /^bit\((\d+)\)$/.exec(type.native) ?? []
      return bits === undefined ? anyText(column) : `LPAD(BIN(${column} + 0), ${bits}, '0')`
    }
    default:
      return anyText(column)
  }
}

function anyText(column: string): string {
  return `CONVERT(${column} USING utf8mb4) COLLATE utf8mb4_bin`
}

/** The fraction of a second without the zeros at its end, and without its point where nothing is left. */
function withoutZeros(column: string, digits: number): string {
  return digits === 0 ? `CONCAT(${column})` : `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM CONCAT(${column})))`
}

/** As PostgreSQL's `trim_scale` writes it. */
function trimmedDecimal(number: string): string {
  const text = `CONCAT(${number})`
  return `CASE WHEN INSTR(${text}, '.') > 0 THEN TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${text})) ELSE ${text} END`
}

/**
 * The shortest text that reads back as the same double, as PostgreSQL writes it. The server finds the same digits, but for
 * numbers that are halfway (`notHalfway`), and has other bounds between plain numbers and powers of ten.
 */
function doubleText(column: string): string {
  const x = `CAST(${column} AS DOUBLE)`
  const text = `CONCAT(${x})`
  const size = `ABS(${x})`
  const plain = `${size} >= 1e-4 AND ${size} < 1e15 OR ${x} = 0`
  const sign = `IF(${x} < 0, '-', '')`
  // 0.00001234 becomes 1.234e-05: the server writes small numbers in full for longer.
  const fraction = `SUBSTRING_INDEX(${text}, '.', -1)`
  const digits = `TRIM(LEADING '0' FROM ${fraction})`
  const power = `LPAD(CHAR_LENGTH(${fraction}) - CHAR_LENGTH(${digits}) + 1, 2, '0')`
  const mantissa = `CONCAT(LEFT(${digits}, 1), IF(CHAR_LENGTH(${digits}) > 1, '.', ''), SUBSTR(${digits}, 2))`
  const small = `CASE WHEN INSTR(${text}, 'e') > 0 THEN ${text} ELSE CONCAT(${sign}, ${mantissa}, 'e-', ${power}) END`
  // And numbers with a fraction.
  const large = `REPLACE(CONCAT(${size}), '.', '')`
  const full = `CONCAT(${sign}, LEFT(${large}, 1), '.', SUBSTR(${large}, 2), 'e+15')`
  return `CASE WHEN ${plain} THEN ${text} WHEN ${size} < 1 THEN ${small} WHEN INSTR(${text}, 'e') = 0 THEN ${full} WHEN ${size} < 9007199254740992 OR ${size} > 1e41 THEN ${raised(text)} ELSE ${notHalfway(x)} END`
}

/** PostgreSQL writes the sign of a power of ten. */
function raised(text: string): string {
  return `REPLACE(${text}, 'e', 'e+')`
}

/**
 * Where the shortest text lies exactly between two doubles, the server takes it all the same and PostgreSQL takes the
 * nearest one of 16 digits, or of 17, that does not. A double in this range is a whole number of 53 bits and a power of two.
 */
function notHalfway(x: string): string {
  // Point(x, 0) as bytes ends in the eight bytes of x and the eight of 0, the least significant first.
  const bits = `CAST(CONV(HEX(REVERSE(SUBSTR(POINT(${x}, 0), 10, 8))), 16, 10) AS UNSIGNED)`
  const power = `(CAST(${bits} >> 52 & 2047 AS SIGNED) - 1075)`
  const two = (exponent: string): string =>
    `CAST(1 << LEAST(${exponent}, 40) AS DECIMAL(65, 0)) * (1 << GREATEST(${exponent} - 40, 0))`
  const ulp = two(power)
  const whole = `CAST((${bits} & 4503599627370495) + 4503599627370496 AS DECIMAL(65, 0)) * ${ulp}`
  const decimal = (text: string): string => `CAST(${text} AS DECIMAL(65, 0))`
  const length = `CHAR_LENGTH(${decimal(whole)})`
  const isHalfway = (number: string): string => `ABS(${number} - ${whole}) * 2 = ${ulp}`
  const rounded = (places: number): string => `ROUND(${whole}, ${places} - ${length})`
  const written = (number: string): string => {
    const digits = `TRIM(TRAILING '0' FROM ${decimal(number)})`
    return `CONCAT(LEFT(${digits}, 1), IF(CHAR_LENGTH(${digits}) > 1, '.', ''), SUBSTR(${digits}, 2), 'e+', CHAR_LENGTH(${decimal(number)}) - 1)`
  }
  const sixteen = rounded(16)
  const fits = `CAST(${decimal(sixteen)} AS DOUBLE) = ABS(${x}) AND NOT ${isHalfway(sixteen)}`
  const exact = `CONCAT(IF(${x} < 0, '-', ''), CASE WHEN ${fits} THEN ${written(sixteen)} ELSE ${written(rounded(17))} END)`
  return `CASE WHEN ${isHalfway(decimal(`CONCAT(ABS(${x}))`))} THEN ${exact} ELSE ${raised(`CONCAT(${x})`)} END`
}

/**
 * What a column of a type takes for a text in a form: an expression for INSERT and UPDATE. A text that the type has no value
 * for is refused by the server, under the settings of our sessions, as what nobody can read; it is never cut or rounded.
 */
export function fromForm(text: string, type: ColumnType, form: Form): string {
  switch (type.kind) {
    case 'boolean':
      return form === 'own' ? `CASE ${text} WHEN 't' THEN '1' WHEN 'f' THEN '0' ELSE ${text} END` : text
    case 'timestamp':
      return type.zoned ? `TRIM(TRAILING '+00' FROM ${text})` : text
    case 'integer':
      // As a text, 0 is the year 2000.
      return type.year ? `CAST(${text} AS UNSIGNED)` : text
    case 'float':
      // The server has one zero.
      return `CASE ${text} WHEN '-0' THEN 'negative zero' ELSE ${text} END`
    case 'bytes':
      return bytesFromHex(text)
    case 'text':
      // Of spaces at the end the server says in a note alone that they did not fit.
      return type.maxBytes === undefined
        ? text
        : `CASE WHEN ${text} LIKE '% ' AND OCTET_LENGTH(${text}) > ${type.maxBytes} THEN CONCAT(${text}, '.') ELSE ${text} END`
    case 'other':
      if (isSpatial(type)) return shapeFromText(text)
      return /^bit\(\d+\)$/.test(type.native) ? `CAST(CONV(${text}, 2, 10) AS UNSIGNED)` : text
    default:
      return text
  }
}

/** A text that is no `\x…` of whole bytes becomes a number that is none: an error, where UNHEX alone would make NULL of it. */
function bytesFromHex(text: string): string {
  const bytes = `IF(LEFT(${text}, 2) = '\\\\x' AND CHAR_LENGTH(${text}) % 2 = 0, UNHEX(SUBSTR(${text}, 3)), NULL)`
  // Of the text, though of nothing in it: what is constant is looked at beforehand.
  const refused = `UNHEX(CAST(CONCAT('no bytes', LEFT(${text}, 0)) AS UNSIGNED))`
  return `COALESCE(${bytes}, IF(${text} IS NULL, NULL, ${refused}))`
}

/**
 * MySQL writes latitude first where a reference system says so, MariaDB never: x comes first. What stands in such a comment
 * is for MySQL 8 alone.
 */
const X_FIRST = "/*!80000 , 'axis-order=long-lat' */"

/** A shape in words, with its SRID. MySQL puts each point of several into brackets. */
function shapeText(column: string): string {
  const text = `ST_AsText(${column} ${X_FIRST})`
  const points = `REPLACE(REPLACE(REPLACE(${text}, '((', '('), '))', ')'), '),(', ',')`
  const words = `IF(ST_GeometryType(${column}) = 'MULTIPOINT', ${points}, ${text})`
  return anyText(`CONCAT('SRID=', ST_SRID(${column}), ';', ${words})`)
}

/** What is no shape is NULL to MariaDB: it gets an SRID that is no number, which is an error. */
function shapeFromText(text: string): string {
  const words = `SUBSTRING_INDEX(${text}, ';', -1)`
  const srid = `SUBSTR(SUBSTRING_INDEX(${text}, ';', 1), 6)`
  const isNone = `${text} IS NOT NULL AND ST_GeomFromText(${words}) IS NULL`
  const checked = `CAST(IF(${isNone}, CONCAT('no shape', LEFT(${text}, 0)), ${srid}) AS UNSIGNED)`
  return `ST_GeomFromText(${words}, ${checked} ${X_FIRST})`
}
