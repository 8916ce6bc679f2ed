import type { FastifyInstance } from 'fastify'
import { ICON_LINK } from '#api/favicon.ts'
import { SIGN_IN_POLICY } from '#api/security/headers.ts'

/**
 * The page that a sign-in link opens. The code stands behind the `#` of the link, which browsers send to nobody; the
 * page's script exchanges it for a session and forgets it.
 */
export function signInPage(app: FastifyInstance): void {
  void app.register(async (pages) => {
    pages.get('/sign-in', { schema: { hide: true } }, async (_, reply) =>
      reply.header('content-security-policy', SIGN_IN_POLICY).type('text/html; charset=utf-8').send(PAGE),
    )
    pages.get('/sign-in.js', { schema: { hide: true } }, async (_, reply) =>
      reply.type('text/javascript; charset=utf-8').send(SCRIPT),
    )
  })
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Syncline: signing in</title>
${ICON_LINK}
</head>
<body>
<p role="status">Signing in …</p>
<script src="/sign-in.js"></script>
</body>
</html>
`

const SCRIPT = `const status = document.querySelector('p')
const code = location.hash.slice(1)
history.replaceState(null, '', location.pathname)
fetch('/api/v1/session', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ code }),
}).then(async (response) => {
  if (response.ok) location.replace('/docs')
  else status.textContent = (await response.json()).detail
}).catch(() => { status.textContent = 'The service does not answer.' })
`
