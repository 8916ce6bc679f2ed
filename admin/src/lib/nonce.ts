/** By which the policy of the page knows style elements that its own scripts make; empty from the development server. */
export const NONCE = document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce ?? ''
