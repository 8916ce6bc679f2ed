import type { FastifyInstance } from 'fastify'

/** The mark: two strokes that dip and join. */
const MARK = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<path d="M1.5 4.5c3 0 4 7 6.5 7s3.5-7 6.5-7M1.5 8c2.4 0 3.9 3.5 6.5 3.5S12.1 8 14.5 8" fill="none" stroke="#0d9488" stroke-width="1.8" stroke-linecap="round"/>
</svg>
`

/** What a page of ours has in its head; for everything else browsers ask for `/favicon.ico` by themselves. */
export const ICON_LINK = '<link rel="icon" type="image/svg+xml" href="/favicon.svg">'

export function favicon(app: FastifyInstance): void {
  void app.register(async (icons) => {
    for (const url of ['/favicon.svg', '/favicon.ico']) {
      icons.get(url, { schema: { hide: true } }, async (_, reply) =>
        reply.header('cache-control', 'public, max-age=86400').type('image/svg+xml').send(MARK),
      )
    }
  })
}
