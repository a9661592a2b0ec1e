import type { Path } from './address.ts'
import type { Content } from './content.ts'
import type { Recipient, Submitter } from './delivery.ts'
import type { MailParameters, RecipientParameters } from './parameters.ts'

export interface Hello {
  readonly verb: 'HELO' | 'EHLO' | 'LHLO'
  /** What the client calls itself; untrusted. */
  readonly name: string
}

export interface OfferedRecipient {
  readonly recipient: Recipient
  readonly parameters: RecipientParameters
}

/** A mail transaction, from MAIL to the reply after its content. */
export interface Transaction {
  readonly number: number
  readonly from: Path
  readonly mail: MailParameters
  readonly recipients: OfferedRecipient[]
  /** Some recipient was offered, taken or not. */
  recipientsOffered: boolean
  /** How far BDAT has come. After `failed` only RSET helps (RFC 3030 §2). */
  chunks: { readonly kind: 'none' } | { readonly kind: 'some'; readonly content: Content } | { readonly kind: 'failed' }
}

/** What a session knows of its client. */
export interface Client {
  readonly sessionId: string
  readonly remoteAddress: string
  readonly hello: Hello
  readonly submitter: Submitter | undefined
  /** Protocol and cipher suite; undefined without TLS. */
  readonly tls: string | undefined
}
