import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import staticFiles from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HttpError } from '#api/problem.ts'
import { pagePolicy } from '#api/security/headers.ts'

/** What `npm run build:admin` makes: beside the compiled program, and in a checkout in the same place. */
const FOLDER = fileURLToPath(new URL('../../dist/admin/', import.meta.url))

/** What the build leaves where a nonce belongs (`admin/vite.config.ts`). */
const NONCE_PLACE = /__CSP_NONCE__/g

/** Paths below which there are no pages, whoever asks. */
const NO_PAGES = /^\/(api|assets|docs|health|livez|readyz|metrics|openapi\.json|favicon\.\w+|webhooks)(\/|$)/

/**
 * The admin pages: one document for all of them, whose script shows the page that the path names, and its parts, whose
 * names change with what they hold.
 */
export function adminPages(app: FastifyInstance): void {
  void app.register(async (files) => {
    await files.register(staticFiles, {
      root: `${FOLDER}assets`,
      prefix: '/assets/',
      decorateReply: false,
      index: false,
      preCompressed: true,
      immutable: true,
      maxAge: '365d',
      schemaHide: true,
      setHeaders: (reply, path) => {
        // The one file whose name stays as it is.
        if (path.includes('color-scheme.js')) void reply.header('cache-control', 'no-cache')
      },
    })
    for (const url of ['/', '/sign-in']) {
      files.get(url, { schema: { hide: true } }, async (_, reply) => sendPage(reply))
    }
  })
}

/** Whether a browser asks for a page of ours, by a path that no route takes: the page itself says if there is none. */
export function isForPage({ method, url, headers }: FastifyRequest): boolean {
  return method === 'GET' && !NO_PAGES.test(url.replace(/[?#].*$/s, '')) && /\btext\/html\b/.test(headers.accept ?? '')
}

export async function sendPage(reply: FastifyReply): Promise<FastifyReply> {
  const document = await readDocument()
  const nonce = randomBytes(16).toString('base64')
  return reply
    .header('content-security-policy', pagePolicy(nonce))
    .type('text/html; charset=utf-8')
    .send(document.replaceAll(NONCE_PLACE, nonce))
}

/** Read each time: whoever builds the pages anew gets the new ones, whose parts have other names. */
async function readDocument(): Promise<string> {
  try {
    return await readFile(`${FOLDER}index.html`, 'utf8')
  } catch {
    throw new HttpError('not_found', 'The admin pages are not built.', {
      status: 503,
      hint: 'In a checkout: npm run build:admin. The API and the command line work without them.',
    })
  }
}
