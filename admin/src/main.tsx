import '#app/styles.ts'
import { setNonce } from 'get-nonce'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from '#app/app.tsx'
import { must } from '#lib/must.ts'
import { NONCE } from '#lib/nonce.ts'

if (NONCE !== '') setNonce(NONCE)

createRoot(must(document.getElementById('root'), 'the root of the page')).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
