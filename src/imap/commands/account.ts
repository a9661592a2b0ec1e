import { capabilities, enableable } from '../capabilities.ts'
import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { Refusal } from '../refusal.ts'
import type { Session } from '../session.ts'

const failuresMax = 5

export const accountCommands: readonly (readonly [string, CommandDefinition])[] = [
  [
    'CAPABILITY',
    {
      state: 'any',
      expunges: true,
      parse: (_cursor, session) => async () => {
        session.out.line(`* CAPABILITY ${capabilities(session).join(' ')}`)
        return 'OK CAPABILITY completed'
      },
    },
  ],
  ['NOOP', { state: 'any', expunges: true, looks: true, parse: () => async () => 'OK NOOP completed' }],
  [
    'LOGOUT',
    {
      state: 'any',
      expunges: true,
      parse: (_cursor, session) => async () => {
        session.out.line('* BYE Logging out')
        session.select(undefined)
        session.end = 'logout'
        return 'OK LOGOUT completed'
      },
    },
  ],
  ['ID', { state: 'any', expunges: true, parse: parseId }],
  [
    'STARTTLS',
    {
      state: 'any',
      expunges: false,
      parse: parseStartTls,
      afterwards: async (session, reply) => {
        if (reply.startsWith('OK')) await session.startTls()
      },
    },
  ],
  ['LOGIN', { state: 'notAuthenticated', expunges: false, parse: parseLogin }],
  ['AUTHENTICATE', { state: 'notAuthenticated', expunges: false, parse: parseAuthenticate, waits: true }],
  ['ENABLE', { state: 'authenticated', expunges: true, parse: parseEnable }],
  [
    'NAMESPACE',
    {
      state: 'authenticated',
      expunges: true,
      parse: (_cursor, session) => async () => {
        session.out.line('* NAMESPACE (("" "/")) NIL NIL')
        return 'OK NAMESPACE completed'
      },
    },
  ],
]

/** RFC 2971: at most 30 pairs, values of at most 1024 bytes. What the client says of itself is not kept. */
function parseId(cursor: Cursor, session: Session) {
  cursor.space()
  if (!cursor.take('NIL')) {
    let strings = 0
    cursor.list(() => {
      if (++strings > 60) throw new SyntaxFault('Too many ID fields', 'TOOBIG')
      return cursor.nstring()
    })
    if (strings % 2 !== 0) throw new SyntaxFault('ID fields come in pairs')
  }
  return async () => {
    session.out.line('* ID ("name" "Handoff")')
    return 'OK ID completed'
  }
}

function parseStartTls(_cursor: Cursor, session: Session) {
  if (session.store) throw new SyntaxFault('STARTTLS comes before login')
  if (session.secure) throw new SyntaxFault('TLS is active already')
  return async () => {
    if (!session.surroundings.secureContext) throw new Refusal('No certificate is configured', 'UNAVAILABLE')
    return 'OK Begin TLS negotiation now'
  }
}

function parseLogin(cursor: Cursor, session: Session) {
  cursor.space()
  const username = Buffer.from(cursor.astring(), 'latin1').toString('utf8')
  cursor.space()
  const password = Buffer.from(cursor.astring(), 'latin1').toString('utf8')
  return () => login(session, username, password, 'LOGIN')
}

function parseAuthenticate(cursor: Cursor, session: Session) {
  cursor.space()
  const mechanism = cursor.keyword()
  const initial = cursor.take(' ') ? cursor.rest() : undefined
  return async () => {
    if (mechanism !== 'PLAIN') throw new Refusal('Unknown mechanism', 'CANNOT')
    refuseClearText(session)
    let response = initial
    if (response === undefined) {
      session.out.line('+ ')
      session.out.send()
      response = await session.continuationLine()
    }
    if (response === undefined) throw new SyntaxFault('No response')
    if (response === '*') throw new SyntaxFault('Authentication cancelled')
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(response) || response === '') throw new SyntaxFault('Invalid base64')
    // RFC 4616: [authzid] NUL authcid NUL passwd. To act for somebody else is not offered.
    const parts = Buffer.from(response, 'base64').toString('utf8').split('\0')
    const [authorise, username, password] = parts
    if (parts.length !== 3 || !username || password === undefined) throw new SyntaxFault('Invalid response')
    if (authorise !== '' && authorise !== username) throw new Refusal('Acting for another user is not permitted', 'AUTHORIZATIONFAILED')
    return login(session, username, password, 'AUTHENTICATE')
  }
}

function refuseClearText(session: Session): void {
  if (!session.mayLogin) throw new Refusal('Use STARTTLS first', 'PRIVACYREQUIRED')
}

const failures = new WeakMap<Session, number>()

async function login(session: Session, username: string, password: string, command: string): Promise<string> {
  refuseClearText(session)
  const { throttle, login: ask, log } = session.surroundings
  const store = username.includes('\0') || password.includes('\0') ? undefined : await ask(username, password)
  if (store) {
    throttle.succeeded(session.peer)
    session.store = store
    log.info({ username, peer: session.peer }, 'imap: logged in')
    return `OK [CAPABILITY ${capabilities(session).join(' ')}] ${command} completed`
  }
  log.info({ username, peer: session.peer }, 'imap: login refused')
  await new Promise((resolve) => setTimeout(resolve, throttle.failed(session.peer)))
  const count = (failures.get(session) ?? 0) + 1
  failures.set(session, count)
  if (count >= failuresMax) session.bye('Too many failed logins')
  throw new Refusal('Wrong user name or password', 'AUTHENTICATIONFAILED')
}

/** RFC 5161: what is unknown is ignored. */
function parseEnable(cursor: Cursor, session: Session) {
  const names: string[] = []
  do {
    cursor.space()
    names.push(cursor.keyword())
  } while (cursor.peek(' '))
  return async () => {
    const fresh = names.filter((name) => enableable.has(name) && !session.enabled.has(name))
    for (const name of fresh) session.enabled.add(name)
    if (session.enabled.has('IMAP4REV2')) session.encoding = 'utf8'
    session.out.line(`* ENABLED${[...new Set(fresh)].map((name) => ` ${name === 'IMAP4REV2' ? 'IMAP4rev2' : name}`).join('')}`)
    return 'OK ENABLE completed'
  }
}
