import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { certificateFor } from './certificate.ts'

test("a self-signed certificate is made once and kept; its key is nobody else's", async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'certificate-'))
  try {
    const first = await certificateFor({ dataDirectory }, 'mail.example.org')
    expect(new X509Certificate(first.cert).subjectAltName).toBe('DNS:mail.example.org')
    expect(await certificateFor({ dataDirectory }, 'mail.example.org')).toEqual(first)
    expect((await stat(join(dataDirectory, 'tls/self-signed.key'))).mode & 0o077).toBe(0)
    await expect(certificateFor({ dataDirectory, tls: { certificateFile: '/nowhere/a', keyFile: '/nowhere/b' } }, 'x')).rejects.toMatchObject({
      code: 'CERTIFICATE_UNREADABLE',
    })
  } finally {
    await rm(dataDirectory, { recursive: true })
  }
})
