import type { Argument, Command, Test, Tests } from './ast.ts'

/** A script that parses to the same tree, positions apart. */
export function print(commands: readonly Command[], indent = ''): string {
  return commands.map((command) => printCommand(command, indent)).join('')
}

function printCommand(command: Command, indent: string): string {
  const head = indent + [command.name, ...command.arguments.map(printArgument), ...printTests(command.tests)].join(' ')
  if (!command.block) return `${head};\r\n`
  return `${head} {\r\n${print(command.block, `${indent}  `)}${indent}}\r\n`
}

function printTests(tests: Tests): string[] {
  switch (tests.kind) {
    case 'none':
      return []
    case 'one':
      return [printTest(tests.test)]
    case 'list':
      return [`(${tests.tests.map(printTest).join(', ')})`]
  }
}

function printTest(test: Test): string {
  return [test.name, ...test.arguments.map(printArgument), ...printTests(test.tests)].join(' ')
}

function printArgument(argument: Argument): string {
  switch (argument.kind) {
    case 'number':
      return String(argument.value)
    case 'tag':
      return `:${argument.name}`
    case 'strings': {
      const strings = argument.values.map(({ value }) => `"${value.replace(/["\\]/g, '\\$&')}"`)
      return argument.listed ? `[${strings.join(', ')}]` : (strings[0] ?? '""')
    }
  }
}
