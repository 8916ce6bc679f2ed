import createClient, { type Middleware } from 'openapi-fetch'
import type { components, paths } from '#api/types.d.ts'

export type Schemas = components['schemas']

/** What went wrong, as the service says it (RFC 9457), or as the browser does where no service answered. */
export class ApiProblem extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string
  readonly requestId: string | null
  readonly places: readonly { readonly place: string; readonly message: string }[]

  constructor(problem: Partial<Schemas['Problem']> & { readonly detail: string; readonly status: number }) {
    super(problem.detail)
    this.name = 'ApiProblem'
    this.status = problem.status
    this.code = problem.code ?? 'unreachable'
    this.hint = problem.hint ?? ''
    this.requestId = problem.request_id ?? null
    this.places = problem.errors ?? []
  }

  /** What is said about a field of the body: `body#/url`. */
  of(field: string): string | undefined {
    return this.places.find(({ place }) => place === `body#/${field}`)?.message
  }
}

/** The header that only scripts of our own pages can send: without it a session changes nothing. */
const own: Middleware = {
  onRequest: ({ request }) => {
    request.headers.set('x-syncline-request', '1')
    return request
  },
  onResponse: async ({ response }) => {
    if (response.ok) return undefined
    throw await problemOf(response)
  },
  onError: ({ error }) => unreachable(error instanceof Error ? error.message : String(error)),
}

function unreachable(words: string): ApiProblem {
  return new ApiProblem({
    status: 0,
    detail: 'The service does not answer.',
    hint: `See whether it runs and can be reached from here. (${words})`,
  })
}

async function problemOf(response: Response): Promise<ApiProblem> {
  const { status } = response
  try {
    const problem = (await response.json()) as Schemas['Problem']
    if (typeof problem.detail === 'string') return new ApiProblem(problem)
  } catch {
    // A proxy answers in its own way; the status is all there is.
  }
  return new ApiProblem({
    status,
    detail: `Something between this page and the service answered ${status}.`,
    hint: 'See whether the service runs, and what the proxy in front of it says.',
  })
}

interface UploadProgress {
  readonly sent: number
  readonly total: number
}

/**
 * Sends a file into the directory of dumps, as it lies on the disk of whoever sends it: fetch does not tell how far it is.
 * @throws ApiProblem; the signal's reason
 */
export function uploadDump(
  file: File,
  onProgress: (progress: UploadProgress) => void,
  signal: AbortSignal,
): Promise<Schemas['Dump']> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const fail = (words: string): void => reject(unreachable(words))
    request.open('POST', '/api/v1/dumps')
    request.setRequestHeader('x-syncline-request', '1')
    request.setRequestHeader('content-type', 'application/octet-stream')
    request.upload.addEventListener('progress', ({ loaded, total }) => onProgress({ sent: loaded, total }))
    request.addEventListener('load', () => {
      const { status, responseText: text } = request
      if (status === 201) resolve(JSON.parse(text) as Schemas['Dump'])
      else void problemOf(new Response(text, { status })).then(reject)
    })
    request.addEventListener('error', () => fail('the connection broke'))
    request.addEventListener('abort', () => reject(signal.reason as Error))
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(file)
  })
}

const client = createClient<paths>({ baseUrl: '/' })
client.use(own)

/** The API by its description: `api.GET('/api/v1/jobs', …)`. A call that fails rejects with `ApiProblem`. */
export const api = client

/** The body of an answer, which is there because a failure rejects. */
export async function body<T>(call: Promise<{ readonly data?: T }>): Promise<T> {
  return (await call).data as T
}
