/** A structured field: a value and its parameters, as in Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183 §2). */
export interface Parametrised {
  readonly value: string
  readonly parameters: ReadonlyArray<readonly [string, string]>
}

const parametersMax = 100
const whitespace = /[ \t]*/y
const token = /[^\x00-\x20()<>@,;:\\"[\]?=]+/y
const quotedString = /"((?:[^"\\]|\\.)*)("|$)/sy

/** Total: stops making sense of it where it stops making sense. Names lower case; RFC 2231 forms stay as sent, the client's to decode. */
export function parseParametrised(text: string): Parametrised {
  const clean = withoutComments(text)
  const semicolon = clean.indexOf(';')
  const value = (semicolon < 0 ? clean : clean.slice(0, semicolon)).trim()
  const parameters: [string, string][] = []
  let at = semicolon < 0 ? clean.length : semicolon
  while (at < clean.length && parameters.length < parametersMax) {
    at = skip(clean, at + 1)
    const name = match(token, clean, at)
    if (name === undefined) {
      at = nextSemicolon(clean, at)
      continue
    }
    at = skip(clean, at + name.length)
    if (clean[at] !== '=') {
      at = nextSemicolon(clean, at)
      continue
    }
    at = skip(clean, at + 1)
    quotedString.lastIndex = at
    const quoted = quotedString.exec(clean)
    if (quoted) {
      parameters.push([name.toLowerCase(), (quoted[1] ?? '').replace(/\\(.)/gs, '$1')])
      at = nextSemicolon(clean, at + quoted[0].length)
    } else {
      // Tolerant: unquoted values with spaces or specials are common ("name=my file.pdf").
      const end = nextSemicolon(clean, at)
      parameters.push([name.toLowerCase(), clean.slice(at, end).trim()])
      at = end
    }
  }
  return { value, parameters }
}

/** RFC 5322 §3.2.2: comments nest; in quoted strings there are none. */
export function withoutComments(text: string): string {
  if (!text.includes('(')) return text
  let result = ''
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    if (char === '\\') {
      if (depth === 0) result += text.slice(i, i + 2)
      i++
    } else if (quoted) {
      quoted = char !== '"'
      result += char
    } else if (depth === 0 && char === '"') {
      quoted = true
      result += char
    } else if (char === '(') depth++
    else if (char === ')' && depth > 0) depth--
    else if (depth === 0) result += char
  }
  return result
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function skip(text: string, at: number): number {
  return at + (match(whitespace, text, at)?.length ?? 0)
}

function nextSemicolon(text: string, at: number): number {
  const found = text.indexOf(';', at)
  return found < 0 ? text.length : found
}
