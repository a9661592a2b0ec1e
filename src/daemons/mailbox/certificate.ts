import { execFile } from 'node:child_process'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { HandoffError } from '../../errors.ts'
import type { MailboxServiceOptions } from './options.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/**
 * The configured certificate, or a self-signed one, so that STARTTLS works out of the box. It is kept in the data directory:
 * clients that pinned it must find the same after a restart.
 */
export async function certificateFor(options: Pick<MailboxServiceOptions, 'dataDirectory' | 'tls'>, name: string): Promise<Certificate> {
  if (options.tls) return read(options.tls.certificateFile, options.tls.keyFile)
  const directory = join(options.dataDirectory, 'tls')
  const [certFile, keyFile] = [join(directory, 'self-signed.crt'), join(directory, 'self-signed.key')]
  try {
    return await read(certFile, keyFile)
  } catch {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await selfSign(name, certFile, keyFile)
    return read(certFile, keyFile)
  }
}

async function read(certFile: string, keyFile: string): Promise<Certificate> {
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
    return { cert, key }
  } catch (cause) {
    throw new HandoffError('CERTIFICATE_UNREADABLE', `cannot read the certificate "${certFile}" and its key "${keyFile}"`, { cause })
  }
}

async function selfSign(name: string, certFile: string, keyFile: string): Promise<void> {
  const host = /^[a-z0-9.-]{1,64}$/i.test(name) ? name : 'handoff'
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650', '-subj', `/CN=${host}`]
  args.push('-addext', `subjectAltName=DNS:${host}`, '-keyout', `${keyFile}.new`, '-out', `${certFile}.new`)
  try {
    await promisify(execFile)('openssl', args)
  } catch (cause) {
    throw new HandoffError('CERTIFICATE_NOT_MADE', `cannot make a self-signed certificate for "${host}" with openssl`, { cause })
  }
  // The key first: a crash in between leaves no certificate, so both are made anew.
  await rename(`${keyFile}.new`, keyFile)
  await rename(`${certFile}.new`, certFile)
}
