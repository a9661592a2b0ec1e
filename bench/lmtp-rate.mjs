// Deliveries per second over LMTP: node bench/lmtp-rate.mjs --port 24 --to alice@example.org [--host 127.0.0.1] [--sessions 8] [--seconds 5] [--bytes 4096]
// Each session gives one message after the other; only those answered 250 count. Prints one JSON object.
import { connect } from 'node:net'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' },
    to: { type: 'string' },
    sessions: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '5' },
    bytes: { type: 'string', default: '4096' },
  },
})
if (!values.port || !values.to) throw new Error('wanted --port and --to')
const body = `${'x'.repeat(70)}\r\n`.repeat(Math.ceil(Number(values.bytes) / 72))
const latencies = []
let refused = 0
const start = performance.now()
const end = start + Number(values.seconds) * 1000

function session(number) {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(values.port), values.host)
    socket.setEncoding('latin1').setNoDelay(true)
    let text = ''
    let wanted = 'greeting'
    let sent = 0
    let count = 0
    const next = () => {
      if (performance.now() > end) {
        wanted = 'nothing'
        socket.end('QUIT\r\n')
        return
      }
      sent = performance.now()
      wanted = 'go-ahead'
      socket.write(`MAIL FROM:<bench@example.net>\r\nRCPT TO:<${values.to}>\r\nDATA\r\n`)
    }
    socket.on('data', (chunk) => {
      text += chunk
      if (!/(^|\r\n)\d{3} [^\r\n]*\r\n$/.test(text)) return
      if (wanted === 'greeting') {
        wanted = 'hello'
        socket.write('LHLO bench\r\n')
      } else if (wanted === 'hello') next()
      else if (wanted === 'go-ahead') {
        if (!text.includes('354 ')) {
          if (/^5/m.test(text)) return reject(new Error(text))
          return
        }
        wanted = 'reply'
        socket.write(`Message-ID: <${number}-${count++}-${process.pid}@bench>\r\nSubject: ${count}\r\n\r\n${body}.\r\n`)
      } else if (wanted === 'reply') {
        if (text.startsWith('250')) latencies.push(performance.now() - sent)
        else refused++
        next()
      }
      text = ''
    })
    socket.on('close', resolve)
    socket.on('error', reject)
  })
}

await Promise.all(Array.from({ length: Number(values.sessions) }, (_, i) => session(i)))
const seconds = (performance.now() - start) / 1000
latencies.sort((a, b) => a - b)
const at = (q) => Math.round((latencies[Math.floor(latencies.length * q)] ?? 0) * 100) / 100
console.log(
  JSON.stringify({
    sessions: Number(values.sessions),
    delivered: latencies.length,
    refused,
    perSecond: Math.round(latencies.length / seconds),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }),
)
