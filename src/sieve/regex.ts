import { type Budget, charge } from './fault.ts'
import { limits } from './limits.ts'
import { type CharacterSet, type Node, parseRegex, RegexError } from './regex-parser.ts'

export { RegexError }

/**
 * A regular expression as a list of instructions that all possible ways through it walk at the same time (K. Thompson 1968; R. Cox, "Regular
 * Expression Matching: the Virtual Machine Approach"). No way is walked twice for a character, so the work is at most length times instructions,
 * whatever the pattern; and every step is charged to the budget of the run.
 */
export interface Regex {
  readonly instructions: readonly Instruction[]
  readonly groups: number
}

type Instruction =
  | { readonly kind: 'set'; readonly set: CharacterSet; readonly caseless: boolean }
  | { readonly kind: 'split'; readonly first: number; readonly second: number }
  | { readonly kind: 'jump'; readonly to: number }
  | { readonly kind: 'save'; readonly slot: number }
  | { readonly kind: 'start' | 'end' | 'match' }

/** @throws RegexError */
export function compileRegex(pattern: string, letters: 'exact' | 'caseless'): Regex {
  const { node, groups } = parseRegex(pattern)
  const instructions: Instruction[] = []
  emit(instructions, node, letters === 'caseless')
  instructions.push({ kind: 'match' })
  return { instructions, groups }
}

function emit(code: Instruction[], node: Node, caseless: boolean): void {
  if (code.length > limits.regexStates) throw new RegexError('too large when its repetitions are written out')
  switch (node.kind) {
    case 'empty':
      return
    case 'set':
      code.push({ kind: 'set', set: node.set, caseless })
      return
    case 'start':
    case 'end':
      code.push({ kind: node.kind })
      return
    case 'group':
      code.push({ kind: 'save', slot: node.number * 2 })
      emit(code, node.node, caseless)
      code.push({ kind: 'save', slot: node.number * 2 + 1 })
      return
    case 'sequence':
      for (const each of node.nodes) emit(code, each, caseless)
      return
    case 'choice':
      emitChoice(code, node.nodes, caseless)
      return
    case 'repeat':
      emitRepeat(code, node, caseless)
  }
}

function emitChoice(code: Instruction[], nodes: readonly Node[], caseless: boolean): void {
  const jumps: number[] = []
  for (const [i, node] of nodes.entries()) {
    const last = i === nodes.length - 1
    const split = last ? undefined : code.push({ kind: 'match' }) - 1
    emit(code, node, caseless)
    if (split === undefined) continue
    jumps.push(code.push({ kind: 'match' }) - 1)
    code[split] = { kind: 'split', first: split + 1, second: code.length }
  }
  for (const jump of jumps) code[jump] = { kind: 'jump', to: code.length }
}

function emitRepeat(code: Instruction[], { node, min, max }: Node & { kind: 'repeat' }, caseless: boolean): void {
  for (let i = 0; i < min; i++) emit(code, node, caseless)
  if (max === Number.POSITIVE_INFINITY) {
    const split = code.push({ kind: 'match' }) - 1
    emit(code, node, caseless)
    code.push({ kind: 'jump', to: split })
    code[split] = { kind: 'split', first: split + 1, second: code.length }
    return
  }
  const splits: number[] = []
  for (let i = min; i < max; i++) {
    splits.push(code.push({ kind: 'match' }) - 1)
    emit(code, node, caseless)
  }
  for (const split of splits) code[split] = { kind: 'split', first: split + 1, second: code.length }
}

/** One way through the pattern: the instruction that it waits at, and where its groups began and ended. */
interface Way {
  readonly at: number
  readonly slots: readonly (number | undefined)[]
}

interface Walk {
  readonly regex: Regex
  readonly text: string
  readonly budget: Budget
  /** By instruction: the last place in the text to which a way stood there. */
  readonly seen: Int32Array
}

/**
 * The leftmost match, and of those the longest (POSIX). Which part a group has where several are possible is decided by preferring more repetitions
 * and earlier alternatives, as Perl does; POSIX would have the longest first group.
 * @returns the whole match and its groups, '' for a group that took no part; undefined without a match
 */
export function matchRegex(regex: Regex, text: string, budget: Budget): string[] | undefined {
  const walk: Walk = { regex, text, budget, seen: new Int32Array(regex.instructions.length).fill(-1) }
  let best: readonly (number | undefined)[] | undefined
  let ways: Way[] = []
  for (let at = 0; ; ) {
    if (best === undefined) follow(walk, ways, { at: 0, slots: [at] }, at)
    else if (ways.length === 0) break
    for (const { at: instruction, slots } of ways) if (regex.instructions[instruction]?.kind === 'match') best = longer(best, slots, at)
    const code = text.codePointAt(at)
    if (code === undefined) break
    const next = at + (code > 0xffff ? 2 : 1)
    ways = step(walk, ways, { code, next, start: best?.[0] })
    at = next
  }
  return best && groupsOf(text, best, regex.groups)
}

function longer(best: readonly (number | undefined)[] | undefined, slots: readonly (number | undefined)[], end: number): readonly (number | undefined)[] {
  const candidate = [...slots]
  candidate[1] = end
  if (best === undefined || (slots[0] as number) < (best[0] as number)) return candidate
  return slots[0] === best[0] && end > (best[1] as number) ? candidate : best
}

function step(walk: Walk, ways: readonly Way[], to: { readonly code: number; readonly next: number; readonly start: number | undefined }): Way[] {
  const following: Way[] = []
  for (const { at, slots } of ways) {
    charge(walk.budget, 1)
    const instruction = walk.regex.instructions[at]
    // A way that began later than the match that was found cannot be better.
    if (instruction?.kind !== 'set' || (to.start !== undefined && (slots[0] as number) > to.start)) continue
    charge(walk.budget, instruction.set.ranges.length >> 2)
    if (isIn(instruction.set, to.code, instruction.caseless)) follow(walk, following, { at: at + 1, slots }, to.next)
  }
  return following
}

/** Adds the instructions that can be reached without a character, in order of preference. */
function follow(walk: Walk, ways: Way[], from: Way, place: number): void {
  const open: Way[] = [from]
  for (let way = open.pop(); way; way = open.pop()) {
    charge(walk.budget, 1)
    const { at, slots } = way
    if (walk.seen[at] === place) continue
    walk.seen[at] = place
    const instruction = walk.regex.instructions[at] as Instruction
    switch (instruction.kind) {
      case 'split':
        open.push({ at: instruction.second, slots }, { at: instruction.first, slots })
        break
      case 'jump':
        open.push({ at: instruction.to, slots })
        break
      case 'save':
        charge(walk.budget, slots.length)
        open.push({ at: at + 1, slots: saved(slots, instruction.slot, place) })
        break
      case 'start':
        if (place === 0) open.push({ at: at + 1, slots })
        break
      case 'end':
        if (place === walk.text.length) open.push({ at: at + 1, slots })
        break
      case 'set':
      case 'match':
        ways.push(way)
    }
  }
}

function saved(slots: readonly (number | undefined)[], slot: number, place: number): readonly (number | undefined)[] {
  const copy = [...slots]
  copy[slot] = place
  return copy
}

function isIn(set: CharacterSet, code: number, caseless: boolean): boolean {
  const found = inRanges(set, code) || (caseless && isLetter(code) && inRanges(set, code ^ 0x20))
  return found !== set.negated
}

function inRanges({ ranges }: CharacterSet, code: number): boolean {
  return ranges.some(([low, high]) => code >= low && code <= high)
}

function isLetter(code: number): boolean {
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x7a
}

function groupsOf(text: string, slots: readonly (number | undefined)[], groups: number): string[] {
  const all: string[] = []
  for (let group = 0; group <= groups; group++) {
    const [start, end] = [slots[group * 2], slots[group * 2 + 1]]
    all.push(start === undefined || end === undefined ? '' : text.slice(start, end))
  }
  return all
}
