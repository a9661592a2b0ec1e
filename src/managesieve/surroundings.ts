import type { SecureContext } from 'node:tls'
import type { LoginThrottle } from '../directory/login-throttle.ts'
import type { Scripts } from '../filter/scripts.ts'

/** Who has logged in, and what is theirs. */
export interface Owner {
  readonly address: string
  readonly scripts: Scripts
}

export interface ManageSieveLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface ManageSieveLimits {
  /** Of all lines of one command. RFC 5804 §4: a quoted string may have 1024 octets. */
  readonly lineBytesMax: number
  readonly literalBytesMax: number
  readonly literalBytesBeforeLoginMax: number
  readonly skippedBytesMax: number
  readonly skippedBytesBeforeLoginMax: number
  /** RFC 5804 §1.2: at least 30 minutes once logged in. */
  readonly silenceMsMax: number
  readonly silenceBeforeLoginMsMax: number
  /** In a row. */
  readonly badCommandsMax: number
  readonly failedLoginsMax: number
}

/** What all sessions of a listener share. */
export interface Surroundings {
  /** The virtual name of the clustered mailbox server. */
  readonly name: string
  readonly secureContext: SecureContext | undefined
  readonly clearTextLogin: 'refused' | 'allowed'
  readonly login: (username: string, password: string) => Promise<Owner | undefined>
  readonly throttle: LoginThrottle
  readonly limits: ManageSieveLimits
  readonly log: ManageSieveLog
}
