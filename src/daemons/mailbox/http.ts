import { autodiscoveryRoutes } from '../../autodiscovery/routes.ts'
import { createHttpListener, type HttpListener } from '../../http/listener.ts'
import type { Mail } from './mail.ts'

/** The HTTP listener of one server: how mail clients find their settings. */
export function createHttp(mail: Mail, server: string, tls: 'none' | 'implicit'): HttpListener {
  const { options, certificate, log } = mail
  const { isLocalDomain } = mail.deliveryFor(server)
  const discovery = { server: () => mail.serverMount(server), isLocalDomain }
  return createHttpListener({
    routes: [(app) => autodiscoveryRoutes(app, discovery)],
    sessionsMax: options.sessionsMax,
    log,
    ...(tls === 'implicit' ? { tls: certificate } : {}),
  })
}
