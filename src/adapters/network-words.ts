import type { ErrorCode } from '#model/errors.ts'

/** A failure of the network or of TLS in plain words, which end without a full stop, and a next step where there is a nearer one. */
export interface NetworkFailure {
  readonly code: ErrorCode
  readonly words: string
  /** The system's own code of it, for whoever looks it up. */
  readonly system: string
  readonly hint?: string
}

/** What the system says of an error, with the name that it was about. */
interface Facts {
  /** `host:port`, or the path of a socket; null where the error does not tell. */
  readonly where: string | null
  readonly host: string | null
}

type Tell = (facts: Facts) => Omit<NetworkFailure, 'system'>

const SYSTEM: Readonly<Record<string, Tell>> = {
  ENOTFOUND: ({ host }) => ({ code: 'host_not_found', words: `There is no host ${host ?? 'of this name'}` }),
  EAI_AGAIN: ({ host }) => ({
    code: 'host_not_found',
    words: `The host ${host ?? 'name'} could not be looked up, because no name server answers`,
  }),
  ECONNREFUSED: ({ where }) => ({ code: 'connection_refused', words: `Nothing listens on ${where ?? 'this address'}` }),
  ENOENT: ({ where }) => ({
    code: 'connection_refused',
    words: `There is no server's socket ${where ?? 'at this path'}`,
    hint: 'Check that the server runs, and its unix_socket_directories and port.',
  }),
  EACCES: ({ where }) => ({
    code: 'connection_refused',
    words: `This user may not use the socket ${where ?? 'of the server'}`,
    hint: "Check the permissions of the socket's directory (unix_socket_permissions).",
  }),
  EHOSTUNREACH: ({ where }) => ({ code: 'connection_refused', words: `There is no way to ${where ?? 'this host'}` }),
  ENETUNREACH: ({ where }) => ({ code: 'connection_refused', words: `There is no network to ${where ?? 'this host'}` }),
  ETIMEDOUT: ({ where }) => ({ code: 'connection_timeout', words: `${where ?? 'The server'} did not answer in time` }),
  ECONNRESET: ({ where }) => ({ code: 'connection_lost', words: `${where ?? 'The server'} cut the connection` }),
  EPIPE: () => ({ code: 'connection_lost', words: 'The connection was closed by the other side' }),
  ERR_STREAM_PREMATURE_CLOSE: () => ({
    code: 'connection_lost',
    words: 'The connection ended in the middle of a transfer',
  }),
}

const SELF_SIGNED: Tell = () => ({
  code: 'tls_failed',
  words: "The server's certificate is self-signed: nobody vouches for it",
  hint: 'Give that very certificate as the CA (sslrootcert=FILE in a URL), or choose sslmode=require (encrypted, not verified) knowingly.',
})

const UNKNOWN_ISSUER: Tell = () => ({
  code: 'tls_failed',
  words: "The server's certificate was issued by a CA that this machine does not know",
  hint: 'Give the certificate of that CA (sslrootcert=FILE in a URL), or choose sslmode=require (encrypted, not verified) knowingly.',
})

const TLS: Readonly<Record<string, Tell>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: SELF_SIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_ISSUER,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_ISSUER,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_ISSUER,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_ISSUER,
  ERR_TLS_CERT_ALTNAME_INVALID: ({ host }) => ({
    code: 'tls_failed',
    words: `The server's certificate is not for the name ${host ?? 'that it was called by'}`,
    hint: 'Call the server by a name that its certificate has, or choose sslmode=verify-ca (any name of this CA) knowingly.',
  }),
  CERT_HAS_EXPIRED: () => ({
    code: 'tls_failed',
    words: "The server's certificate has expired",
    hint: "Renew it at the server, and check this machine's clock.",
  }),
  CERT_NOT_YET_VALID: () => ({
    code: 'tls_failed',
    words: "The server's certificate is not valid yet",
    hint: "Check the clocks of this machine and of the certificate's issuer.",
  }),
  CERT_REVOKED: () => ({ code: 'tls_failed', words: "The server's certificate has been revoked" }),
}

const OTHER_TLS = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH)/

/** Says in plain words what the system means by an error, or null where it is no failure of the network. */
export function describeNetworkFailure(error: Error): NetworkFailure | null {
  const source = innermost(error)
  const code = textOf(source, 'code')
  if (code === null) return null
  const facts = { where: whereOf(error), host: textOf(source, 'hostname') ?? textOf(source, 'host') }
  const tell = SYSTEM[code] ?? TLS[code]
  if (tell !== undefined) {
    const failure = tell(facts)
    return { ...failure, system: code }
  }
  if (!OTHER_TLS.test(code)) return null
  return { code: 'tls_failed', words: `TLS could not be agreed on: ${source.message}`, system: code }
}

/** Several addresses of a name are tried one after another; the first tells as well as the last. */
function innermost(error: Error): Error {
  const [inner] = causes(error)
  return inner ?? error
}

function causes(error: Error): Error[] {
  if (!(error instanceof AggregateError)) return []
  const errors: unknown[] = error.errors
  return errors.filter((each) => each instanceof Error)
}

function whereOf(error: Error): string | null {
  const inner = causes(error)
  const places = (inner.length > 0 ? inner : [error]).flatMap((each) => placeOf(each) ?? [])
  return places.length === 0 ? null : [...new Set(places)].join(' or ')
}

function placeOf(error: Error): string | null {
  const address = textOf(error, 'address')
  if (address === null) return null
  const port: unknown = 'port' in error ? error.port : undefined
  if (typeof port !== 'number') return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function textOf(error: Error, name: string): string | null {
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : null
}
