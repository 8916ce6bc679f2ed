/** How a dump is restored, for good or on trial. */
export interface FileDraft {
  readonly owners: boolean
  readonly grants: boolean
  readonly trust: boolean
  /** Where the passphrase of a sealed file is found; empty: nowhere. */
  readonly passphrase: string
}

export const FIRST_FILE: FileDraft = { owners: false, grants: false, trust: false, passphrase: '' }

interface FileRequest {
  readonly trust_file?: true
  readonly owners?: true
  readonly grants?: true
  readonly passphrase_reference?: string
}

/** Only what is not as it would be anyway. */
export function fileRequest({ owners, grants, trust, passphrase }: FileDraft): FileRequest {
  return {
    ...(trust ? { trust_file: true } : {}),
    ...(owners ? { owners: true } : {}),
    ...(grants ? { grants: true } : {}),
    ...(passphrase === '' ? {} : { passphrase_reference: passphrase }),
  }
}
