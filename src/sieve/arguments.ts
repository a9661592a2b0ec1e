import type { Argument, Test, Tests } from './ast.ts'
import { type Capability, isCapability } from './capabilities.ts'
import { type Position, SieveError } from './error.ts'
import type { Call, Value } from './program.ts'
import type { Signature, TagSignature, ValueKind } from './signatures.ts'
import { readString } from './strings.ts'

type Enabled = ReadonlySet<Capability>

interface Given {
  readonly name: string
  readonly position: Position
  readonly arguments: readonly Argument[]
  readonly tests: Tests
}

/**
 * Sorts the arguments of a command or test by its signature.
 * @throws SieveError for what is missing, too much, of the wrong kind, or not enabled
 */
export function bind(given: Given, signature: Signature, enabled: Enabled, test: (test: Test) => Call): Call {
  const { name, position } = given
  requireOne(name, position, signature.capabilities ?? [], enabled)
  const tags = new Map<string, Value | undefined>()
  const groups = new Map<string, string>()
  let at = 0
  for (let argument = given.arguments[at]; argument?.kind === 'tag'; argument = given.arguments[at]) {
    const tag = tagSignature(name, argument, signature, enabled)
    if (tags.has(argument.name)) throw new SieveError(argument.position, `":${argument.name}" is given twice`)
    noOther(groups, argument, tag.group)
    at++
    if (tag.value === undefined) tags.set(argument.name, undefined)
    else tags.set(argument.name, value(given.arguments[at++], tag.value, { what: `":${argument.name}"`, position: argument.position }, enabled))
  }
  const { first, values } = positional(given, at, signature, enabled)
  return { name, position, tags, first, values, tests: tests(given, signature, test) }
}

function requireOne(name: string, position: Position, wanted: readonly Capability[], enabled: Enabled): void {
  if (wanted.length > 0 && !wanted.some((capability) => enabled.has(capability))) throw new SieveError(position, `"${name}" needs: require "${wanted[0]}";`)
}

function tagSignature(name: string, argument: Argument & { kind: 'tag' }, signature: Signature, enabled: Enabled): TagSignature {
  const tag = signature.tags && Object.hasOwn(signature.tags, argument.name) ? signature.tags[argument.name] : undefined
  if (!tag) throw new SieveError(argument.position, `"${name}" has no argument ":${argument.name}"`)
  requireOne(`:${argument.name}`, argument.position, tag.capability ? [tag.capability] : [], enabled)
  return tag
}

function noOther(groups: Map<string, string>, argument: Argument & { kind: 'tag' }, group: string | undefined): void {
  if (group === undefined) return
  const other = groups.get(group)
  if (other !== undefined) throw new SieveError(argument.position, `only one ${group} can be given: ":${other}" or ":${argument.name}"`)
  groups.set(group, argument.name)
}

function positional(
  given: Given,
  from: number,
  signature: Signature,
  enabled: Enabled,
): { readonly first: Value | undefined; readonly values: readonly Value[] } {
  const rest = given.arguments.slice(from)
  const kinds = signature.values ?? []
  const { optionalFirst } = signature
  const hasFirst = optionalFirst !== undefined && rest.length > kinds.length
  const wanted = hasFirst ? [optionalFirst.kind, ...kinds] : kinds
  const extra = rest[wanted.length]
  if (extra)
    throw new SieveError(
      extra.position,
      extra.kind === 'tag' ? `":${extra.name}" must stand before the other arguments` : `"${given.name}" has an argument too many`,
    )
  if (hasFirst && optionalFirst.capability) requireOne(`${given.name} with a variable`, given.position, [optionalFirst.capability], enabled)
  const values = wanted.map((kind, i) => value(rest[i], kind, { what: `"${given.name}"`, position: given.position }, enabled))
  return hasFirst ? { first: values[0], values: values.slice(1) } : { first: undefined, values }
}

const names: Record<ValueKind, string> = { number: 'a number', string: 'a string', strings: 'a string or a list of strings' }

function value(argument: Argument | undefined, kind: ValueKind, owner: { readonly what: string; readonly position: Position }, enabled: Enabled): Value {
  const wrong = () => new SieveError(argument?.position ?? owner.position, `${owner.what} needs ${names[kind]}${argument ? ' here' : ' more'}`)
  if (argument === undefined || argument.kind === 'tag') throw wrong()
  if (argument.kind === 'number') {
    if (kind !== 'number') throw wrong()
    return { kind: 'number', value: argument.value }
  }
  if (kind === 'number' || (kind === 'string' && argument.listed)) throw wrong()
  return { kind: 'strings', texts: argument.values.map((literal) => readString(literal, enabled)) }
}

function tests(given: Given, signature: Signature, bindTest: (test: Test) => Call): Call[] {
  const { name, position } = given
  switch (given.tests.kind) {
    case 'none':
      if (signature.tests) throw new SieveError(position, `"${name}" needs ${signature.tests === 'one' ? 'a test' : 'a list of tests in parentheses'}`)
      return []
    case 'one':
      if (signature.tests === 'list') throw new SieveError(given.tests.test.position, `"${name}" needs a list of tests in parentheses`)
      if (!signature.tests) throw new SieveError(given.tests.test.position, `"${name}" takes no test`)
      return [bindTest(given.tests.test)]
    case 'list':
      if (signature.tests !== 'list') throw new SieveError(position, `"${name}" takes ${signature.tests ? 'one test, without parentheses' : 'no tests'}`)
      return given.tests.tests.map(bindTest)
  }
}

/** The capabilities that `require` or `ihave` names. */
export function namedCapabilities(call: Call): { readonly position: Position; readonly name: string; readonly known: Capability | undefined }[] {
  const value = call.values[0]
  if (value?.kind !== 'strings') return []
  return value.texts.map(({ position, pieces }) => {
    const name = pieces.length === 0 ? '' : pieces[0]
    if (typeof name !== 'string' || pieces.length > 1) throw new SieveError(position, `"${call.name}" takes no variables`)
    return { position, name, known: isCapability(name) ? name : undefined }
  })
}
