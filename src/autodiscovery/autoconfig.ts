import { type Access, accessesOf, type ReachableServer } from './access.ts'
import { type XmlElement, xmlDocument } from './xml.ts'

/**
 * Mozilla's autoconfig, version 1.1 (draft-ietf-mailmaint-autoconfig): how to read and submit mail of one domain. The same for everybody in it: who has a mailbox is not
 * told. `password-cleartext` is a password inside TLS.
 */
export function autoconfig(server: ReachableServer, domain: string): string {
  const provider: readonly XmlElement[] = [
    ['domain', {}, domain],
    ['displayName', {}, domain],
    ['displayShortName', {}, domain],
    ...accessesOf(server, domain).map(serverElement),
  ]
  return xmlDocument(['clientConfig', { version: '1.1' }, [['emailProvider', { id: domain }, provider]]])
}

function serverElement({ kind, hostName, port, tls }: Access): XmlElement {
  const content: readonly XmlElement[] = [
    ['hostname', {}, hostName],
    ['port', {}, port],
    ['socketType', {}, tls === 'implicit' ? 'SSL' : 'STARTTLS'],
    ['authentication', {}, 'password-cleartext'],
    ['username', {}, '%EMAILADDRESS%'],
  ]
  return [kind === 'imap' ? 'incomingServer' : 'outgoingServer', { type: kind }, content]
}
