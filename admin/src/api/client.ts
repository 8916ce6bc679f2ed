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
  onError: ({ error }) =>
    new ApiProblem({
      status: 0,
      detail: 'The service does not answer.',
      hint: `See whether it runs and can be reached from here. (${error instanceof Error ? error.message : String(error)})`,
    }),
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

const client = createClient<paths>({ baseUrl: '/' })
client.use(own)

/** The API by its description: `api.GET('/api/v1/jobs', …)`. A call that fails rejects with `ApiProblem`. */
export const api = client

/** The body of an answer, which is there because a failure rejects. */
export async function body<T>(call: Promise<{ readonly data?: T }>): Promise<T> {
  return (await call).data as T
}
