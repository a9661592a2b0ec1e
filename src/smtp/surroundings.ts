import type { SecureContext } from 'node:tls'
import type { LocalDelivery } from './delivery.ts'

/** `smtp`: from other servers, for local recipients. `submission`: from people, who log in (RFC 6409). `lmtp`: RFC 2033. */
export type SmtpRole = 'smtp' | 'submission' | 'lmtp'

export interface SmtpLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface SmtpLimits {
  readonly messageBytesMax: number
  /** RFC 5321 §4.5.3.1.8: at least 100. */
  readonly recipientsMax: number
  /** RFC 5321 §6.3: at least 100. */
  readonly hopsMax: number
  /** RFC 5321 §4.5.3.2.7: at least 5 minutes. */
  readonly silenceMsMax: number
  /** Commands refused for their form in one session. */
  readonly errorsMax: number
  /** RFC 4954 §4: at least 3. */
  readonly failedLoginsMax: number
}

export const defaultLimits: SmtpLimits = {
  messageBytesMax: 50 * 1024 * 1024,
  recipientsMax: 1000,
  hopsMax: 100,
  silenceMsMax: 5 * 60_000,
  errorsMax: 20,
  failedLoginsMax: 5,
}

/** What was found out about who sent a message (RFC 8601). */
export interface Verdict {
  /** Header lines to be put in front of it. */
  readonly header: string
  /** The domain in From asks for it to be refused (RFC 7489 §6.3); `certain` unless a name server did not answer. */
  readonly refusal?: { readonly domain: string; readonly certain: boolean }
}

/** Total. The content comes without results that claim to be ours. */
export type Verify = (offer: { readonly remoteAddress: string; readonly helo: string; readonly from: string; readonly content: Buffer }) => Promise<Verdict>

/** What all sessions of a listener share. */
export interface Surroundings {
  readonly role: SmtpRole
  readonly name: string
  readonly delivery: LocalDelivery
  readonly log: SmtpLog
  readonly secureContext: SecureContext | undefined
  readonly tlsMode: 'starttls' | 'implicit'
  readonly clearTextLogin: 'refused' | 'allowed'
  readonly limits: SmtpLimits
  /** Of mail of other servers. */
  readonly verify?: Verify | undefined
  readonly now: () => Date
}
