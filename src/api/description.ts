import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { tidyDescription } from '#api/tidy-description.ts'
import type { ApiLimits } from '#api/tools.ts'
import type { Access, Context } from '#api/context.ts'
import { ICON_LINK } from '#api/favicon.ts'
import { guardAccess } from '#api/security/access.ts'
import { pagePolicy } from '#api/security/headers.ts'

/** The version of the API, which is in its paths; the program's own is nobody's business who is not signed in. */
const API_VERSION = '1'

const compress = promisify(gzip)

/** The description of the API, made from the schemas that check requests, and a page to read and try it. */
export function registerDescription(app: FastifyInstance, context: Context): void {
  const own = {
    schema: { hide: true },
    config: { access: context.config.publicDocs ? 'public' : 'viewer' } satisfies { access: Access },
  }
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Syncline', version: API_VERSION, description: introduction(context.config.limits) },
      servers: [{ url: '/' }],
      tags: TAGS,
      security: [{ key: [] }, { bearer: [] }],
      components: {
        securitySchemes: {
          key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
          bearer: { type: 'http', scheme: 'bearer' },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  void app.register(async (docs) => {
    guardAccess(docs, context)
    let description: object | undefined
    docs.get('/openapi.json', own, async () => (description ??= tidyDescription(docs.swagger())))
    docs.get('/docs', own, async (_, reply) => {
      const nonce = randomBytes(16).toString('base64')
      return reply
        .header('content-security-policy', pagePolicy(nonce))
        .type('text/html; charset=utf-8')
        .send(page(nonce))
    })
    docs.get('/docs/policy.js', own, async (_, reply) =>
      reply.type('text/javascript; charset=utf-8').send(POLICY_SCRIPT),
    )
    docs.get('/docs/reader.js', own, async (_, reply) =>
      reply
        .header('content-encoding', 'gzip')
        .header('cache-control', 'private, max-age=3600')
        .type('text/javascript; charset=utf-8')
        .send(await readerScript()),
    )
  })
}

let script: Promise<Buffer> | null = null

/** The page's script, out of the package that carries it: megabytes, which only a service whose docs are read holds. */
function readerScript(): Promise<Buffer> {
  script ??= (async () => {
    const { default: scalar } = await import('@scalar/fastify-api-reference')
    await using shelf = fastify()
    await shelf.register(scalar, { routePrefix: '/scalar', configuration: { url: '/openapi.json' } })
    const { rawPayload } = await shelf.inject('/scalar/js/scalar.js')
    return await compress(rawPayload)
  })()
  return script
}

/** Nothing on the page comes from elsewhere, and nothing leaves it. */
const READER = {
  url: '/openapi.json',
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
}

/**
 * Lets the page's script style the page by the means that its policy allows: the nonce for elements, and the object model
 * for attributes. The policy itself stays as strict as it is (S17).
 */
const POLICY_SCRIPT = `const nonce = document.querySelector('meta[property=csp-nonce]').content
for (const name of ['createElement', 'createElementNS']) {
  const create = Document.prototype[name]
  Document.prototype[name] = function (...given) {
    const made = create.apply(this, given)
    if (made instanceof HTMLStyleElement) made.nonce = nonce
    return made
  }
}
const setAttribute = Element.prototype.setAttribute
Element.prototype.setAttribute = function (name, value) {
  if (name === 'style' && this.style) this.style.cssText = value
  else setAttribute.call(this, name, value)
}
const { get, set } = Object.getOwnPropertyDescriptor(Element.prototype, 'innerHTML')
Object.defineProperty(Element.prototype, 'innerHTML', {
  configurable: true,
  enumerable: true,
  get,
  set(html) {
    set.call(this, String(html).replace(/(<[a-z][^<>]*?\\s)style=/gi, '$1data-style='))
    for (const element of (this.content ?? this).querySelectorAll('[data-style]')) {
      element.style.cssText = element.dataset.style
      delete element.dataset.style
    }
  },
})
`

function page(nonce: string): string {
  const configuration = JSON.stringify(READER).replaceAll('"', '&quot;')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta property="csp-nonce" content="${nonce}">
<title>Syncline API</title>
${ICON_LINK}
</head>
<body>
<div id="api-reference" data-url="/openapi.json" data-configuration="${configuration}"></div>
<script src="/docs/policy.js"></script>
<script src="/docs/reader.js"></script>
</body>
</html>
`
}

const TAGS = [
  { name: 'access', description: 'The first key, keys, and sessions of browsers.' },
  { name: 'datasources', description: 'Databases that Syncline may connect to.' },
  { name: 'sync configs', description: 'What flows from one source to one target.' },
  { name: 'schedules', description: 'When sync configs and exports run by themselves, and what came of it.' },
  { name: 'running', description: 'Starting a sync, and following it.' },
  { name: 'jobs', description: 'What runs and what has run.' },
  { name: 'conflicts', description: 'Rows that both sides changed: looked at, and decided alone or many at once.' },
  { name: 'audit', description: 'Who did what, what was written, and the proof that the log is what was written.' },
  { name: 'service', description: 'Health and status.' },
]

const introduction = ({
  requestsPerMinute,
  connectionTestsPerMinute,
}: ApiLimits) => `Keeps databases in step, and proves it.

Every path is served under \`/api\` and \`/api/v1\` alike. Errors are \`application/problem+json\` with a stable \`code\`, a
\`hint\` with the next step, and \`retry\`.

An address may send ${requestsPerMinute} requests a minute, ${connectionTestsPerMinute} of them to each path that tests
connections. \`RateLimit-Limit\`, \`RateLimit-Remaining\` and \`RateLimit-Reset\` (seconds) say what is left; what is too
much is answered by 429 with \`Retry-After\` (seconds).

**From nothing to a sync**

1. \`POST /api/v1/setup\` with the token that \`serve\` printed at its first start gives the first key. Send it as
   \`X-API-Key\` from then on.
2. \`POST /api/v1/datasources\` twice: \`{"name": "shop", "url": "postgres://…"}\`, and the target with \`"writable": true\`.
3. \`POST /api/v1/datasources/{id}/test\` says step by step what is well and what is not.
4. \`POST /api/v1/sync-configs\`: \`{"name": "shop copy", "source_datasource_id": "shop", "target_datasource_id": "copy",
   "schema_policy": "create"}\`.
5. \`POST /api/v1/sync/{configId}\` with \`{"dry_run": true}\`, then with \`{}\`. The answer has the \`job_id\`.
6. \`GET /api/v1/jobs/{id}\`, or \`GET /api/v1/jobs/{id}/events\` for its events as they happen; at the end
   \`GET /api/v1/jobs/{id}/receipt\`.

A live connection: WebSocket \`/api/v1/ws\` takes \`{"type": "subscribe", "job_id": "job_…", "after": 0}\` and sends
\`{"type": "event", …}\`.
`
