import { readFileSync } from 'node:fs'
import { HandoffError } from '../../errors.ts'

export interface EtcdTlsFiles {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

export interface EtcdStoreOptions {
  /** Client URLs or host:port, the nearest first: the local member's is preferred. */
  readonly endpoints: readonly string[]
  readonly tls?: EtcdTlsFiles | undefined
  readonly user?: string | undefined
  readonly passwordFile?: string | undefined
  /** Within this time every call has its answer, or its failure. */
  readonly timeoutMs?: number
  /** A renewal of a lease is given up after this time. */
  readonly keepAliveTimeoutMs?: number
  /** Without an answer for so long, the next endpoint is asked too. */
  readonly hedgeMs?: number
}

export interface EtcdCredentials {
  readonly tls?: { readonly rootCertificate: Buffer; readonly certChain: Buffer; readonly privateKey: Buffer }
  readonly user?: string
  readonly password?: string
}

/** @throws HandoffError STORE_CREDENTIALS_UNREADABLE */
export function readCredentials(options: Pick<EtcdStoreOptions, 'tls' | 'user' | 'passwordFile'>): EtcdCredentials {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (cause) {
      throw new HandoffError('STORE_CREDENTIALS_UNREADABLE', `cannot read "${file}" for the connection to etcd: ${(cause as Error).message}`, { cause })
    }
  }
  return {
    ...(options.tls === undefined
      ? {}
      : { tls: { rootCertificate: read(options.tls.caFile), certChain: read(options.tls.certFile), privateKey: read(options.tls.keyFile) } }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.passwordFile === undefined ? {} : { password: read(options.passwordFile).toString('utf8').trim() }),
  }
}
