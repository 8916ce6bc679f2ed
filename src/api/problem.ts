import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { RunningJob } from '#control/jobs.ts'
import { isStoreAway } from '#control/store.ts'
import { AppError, ERRORS, type ErrorCode, type Retry } from '#model/errors.ts'

/** Where in a request something is wrong. */
export interface Place {
  /** `body`, `query`, `path` or `headers`, and a JSON pointer (RFC 6901) into it: `body#/tables/0/source`. */
  readonly place: string
  readonly message: string
}

/** A request that does not have the form that its route asks for. */
export class InvalidRequest extends AppError {
  readonly places: readonly Place[]

  constructor(places: readonly Place[], message = 'The request does not have the form that this path takes.') {
    super('invalid_request', message, { hint: HINT })
    this.places = places
  }
}

const HINT = 'See errors for the places, and /docs for what this path takes.'

interface HttpErrorOptions {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly hint?: string
  readonly retry?: Retry
}

/** An error whose answer has another status than its code has, or headers of its own. */
export class HttpError extends AppError {
  readonly httpStatus: number
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, message: string, { status, headers = {}, ...more }: HttpErrorOptions) {
    super(code, message, more)
    this.httpStatus = status
    this.headers = headers
  }
}

/** The body of an answer that says what went wrong (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly hint: string
  readonly retry: Retry
  readonly request_id: string
  readonly errors?: readonly Place[]
  /** The job that is in the way. */
  readonly job_id?: string
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/**
 * What somebody outside learns of an error. One that we did not expect says nothing of itself: no stack, no statement, no
 * name of a file (S48); the log has it under the request's id.
 */
export function toProblem(error: unknown, requestId: string): Problem {
  return describe(asAppError(error), requestId)
}

function describe(known: AppError, requestId: string): Problem {
  return {
    type: `urn:syncline:error:${known.code}`,
    title: ERRORS[known.code].cause,
    status: known instanceof HttpError ? known.httpStatus : known.status,
    detail: known.message,
    code: known.code,
    hint: known.hint,
    retry: known.retry,
    request_id: requestId,
    ...(known instanceof InvalidRequest ? { errors: known.places } : {}),
    ...(known.cause instanceof RunningJob ? { job_id: known.cause.jobId } : {}),
  }
}

/** Answers with an error. What was not foreseen is logged with its stack; what was refused is not. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asAppError(error)
  const problem = describe(known, request.id)
  if (problem.status >= 500) request.log.error({ err: error, code: problem.code }, 'request failed')
  if (known instanceof HttpError) void reply.headers(known.headers)
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="syncline"')
  return reply.code(problem.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem)
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isStoreAway(error)) return storeAway()
  return fromFastify(error) ?? new AppError('internal', 'The request could not be answered.', { hint: INTERNAL_HINT })
}

/** The store's own words stay in the log (S48). */
function storeAway(): HttpError {
  return new HttpError('store_failed', 'The control store does not answer at present.', {
    status: 503,
    headers: { 'retry-after': '1' },
    hint: 'Send the same request again in a moment; where that does not help, look at the server or the disk of the control store.',
    retry: 'later',
  })
}

const INTERNAL_HINT = 'Look for the request_id in the log of the service, and report it with what is there.'

/** Refusals of the framework itself: its texts name our means, not what the caller can do. */
function fromFastify(error: unknown): AppError | null {
  const { code, statusCode } = error as Partial<FastifyError>
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new HttpError('invalid_request', 'The body is larger than 1 MB.', { status: 413 })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new HttpError('invalid_request', 'The body is not JSON (Content-Type: application/json).', { status: 415 })
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new HttpError('invalid_request', 'A part of the path is too long.', { status: 414 })
    default:
      return statusCode !== undefined && statusCode >= 400 && statusCode < 500
        ? new HttpError('invalid_request', 'The request cannot be read.', { status: statusCode })
        : null
  }
}
