import { HandoffError } from '../errors.ts'

/** Of Unicode characters; RFC 5804 §1.6 asks for at least 128. */
const charactersMax = 128

/** RFC 5804 §1.6, and halves of characters, which are no text at all. */
const forbidden = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Surrogate}]/u

/**
 * A name as scripts are kept under it. RFC 5198 §2 wants normalization form C on the wire: with it a name is the same, however the client's machine composes
 * its letters.
 * @throws HandoffError SIEVE_SCRIPT_NAME_INVALID
 */
export function scriptName(given: string): string {
  const problem = problemOf(given)
  if (problem !== undefined) throw new HandoffError('SIEVE_SCRIPT_NAME_INVALID', `not the name of a script: ${problem}`)
  return given.normalize('NFC')
}

function problemOf(name: string): string | undefined {
  const characters = [...name].length
  if (characters === 0) return 'it is empty'
  if (characters > charactersMax) return `it has ${characters} characters, at most ${charactersMax} are taken`
  if (forbidden.test(name)) return 'it has a control character, a line end or half of a character'
  return undefined
}
