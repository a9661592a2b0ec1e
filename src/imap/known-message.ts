/** For tests: a message with every turn that section numbers take, and what the sections are. */
const plainBody = 'Gr=C3=BC=C3=9Fe=\r\n!\r\n'
const htmlBody = '<p>x</p>\r\n'
const alternative = `--inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${plainBody}\r\n--inner\r\nContent-Type: text/html; charset=utf-8\r\nContent-Language: de, en\r\n\r\n${htmlBody}\r\n--inner--`
const forwardedText = 'first\r\nsecond'
const forwardedHeader =
  'From: Carl <carl@example.org>\r\nSubject: forwarded\r\nDate: Tue, 8 Feb 1994 21:52:25 -0800\r\nContent-Type: multipart/mixed; boundary=fw\r\n\r\n'
const forwardedBody = `--fw\r\n\r\n${forwardedText}\r\n--fw--\r\n`
const forwarded = forwardedHeader + forwardedBody
const binaryBody = 'AAECAw==\r\n'
export const header = [
  'From: "Ann \\"A\\" Other" <ann@example.org>',
  'Reply-To: reply@example.org',
  'To: Friends: bob@example.org, Dora <dora@example.org>;, =?utf-8?q?J=C3=B6rg?= <joerg@example.org>',
  'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
  ' and more',
  'Date: Mon, 7 Feb 1994 21:52:25 -0800',
  'Message-ID: <known@example.org>',
  'In-Reply-To: <before@example.org>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary="outer"',
  '',
  '',
].join('\r\n')
const mime = {
  alternative: 'Content-Type: multipart/alternative; boundary=inner\r\n\r\n',
  forwarded: 'Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename="fwd.eml"\r\n\r\n',
  binary:
    'Content-Type: application/octet-stream; name="a.bin"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <c1@example.org>\r\nContent-Description: three bytes and one\r\nContent-Disposition: attachment; filename="a.bin"\r\n\r\n',
}
const text = `preamble\r\n--outer\r\n${mime.alternative}${alternative}\r\n--outer\r\n${mime.forwarded}${forwarded}\r\n--outer\r\n${mime.binary}${binaryBody}\r\n--outer--\r\nepilogue\r\n`

export const knownMessage = header + text

/** Section, content; undefined where the message has none. */
export const knownSections: readonly (readonly [string, string | undefined])[] = [
  ['', knownMessage],
  ['HEADER', header],
  ['TEXT', text],
  ['1', alternative],
  ['1.MIME', mime.alternative],
  ['1.1', plainBody],
  ['1.2', htmlBody],
  ['1.3', undefined],
  ['1.1.1', undefined],
  ['1.HEADER', undefined],
  ['2', forwarded],
  ['2.MIME', mime.forwarded],
  ['2.HEADER', forwardedHeader],
  ['2.TEXT', forwardedBody],
  ['2.1', forwardedText],
  ['2.1.MIME', '\r\n'],
  ['2.HEADER.FIELDS (SUBJECT)', 'Subject: forwarded\r\n\r\n'],
  ['3', binaryBody],
  ['4', undefined],
  ['HEADER.FIELDS (SUBJECT X-NONE)', 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n and more\r\n\r\n'],
  ['HEADER.FIELDS.NOT (FROM REPLY-TO TO SUBJECT DATE MESSAGE-ID IN-REPLY-TO MIME-VERSION)', 'Content-Type: multipart/mixed; boundary="outer"\r\n\r\n'],
]

const innerEnvelope =
  '("Tue, 8 Feb 1994 21:52:25 -0800" "forwarded" (("Carl" NIL "carl" "example.org")) (("Carl" NIL "carl" "example.org")) (("Carl" NIL "carl" "example.org")) NIL NIL NIL NIL NIL)'

export const knownEnvelope =
  '("Mon, 7 Feb 1994 21:52:25 -0800" "=?utf-8?q?Gr=C3=BC=C3=9Fe?= and more" (("Ann \\"A\\" Other" NIL "ann" "example.org")) (("Ann \\"A\\" Other" NIL "ann" "example.org")) ' +
  '((NIL NIL "reply" "example.org")) ((NIL NIL "Friends" NIL)(NIL NIL "bob" "example.org")("Dora" NIL "dora" "example.org")(NIL NIL NIL NIL)("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.org")) NIL NIL "<before@example.org>" "<known@example.org>")'

/** Compare without regard to case: types are the same in any. */
export const knownStructure =
  `((("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" ${plainBody.length} 2 NIL NIL NIL NIL)` +
  `("text" "html" ("charset" "utf-8") NIL NIL "7bit" ${htmlBody.length} 1 NIL NIL ("de" "en") NIL) "alternative" ("boundary" "inner") NIL NIL NIL)` +
  `("message" "rfc822" NIL NIL NIL "7bit" ${forwarded.length} ${innerEnvelope} ` +
  `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" ${forwardedText.length} 1 NIL NIL NIL NIL) "mixed" ("boundary" "fw") NIL NIL NIL) ${forwarded.split('\r\n').length - 1} NIL ("attachment" ("filename" "fwd.eml")) NIL NIL)` +
  `("application" "octet-stream" ("name" "a.bin") "<c1@example.org>" "three bytes and one" "base64" ${binaryBody.length} NIL ("attachment" ("filename" "a.bin")) NIL NIL) "mixed" ("boundary" "outer") NIL NIL NIL)`
