import { describe, expect, test } from 'vitest'
import { capabilities } from './capabilities.ts'
import { compile } from './compile.ts'
import { SieveError } from './error.ts'

function refusal(script: string): string {
  try {
    compile(script)
  } catch (error) {
    if (error instanceof SieveError) return error.message
    throw error
  }
  return 'taken'
}

describe('refused when it is stored', () => {
  test.each([
    ['require "telepathy";', 'line 1, column 9: require: this server does not have the extension "telepathy"'],
    ['require "FILEINTO";', 'line 1, column 9: require: this server does not have the extension "FILEINTO"'],
    ['keep; require "fileinto";', 'line 1, column 7: "require" must stand before all other commands'],
    ['if true { require "fileinto"; }', 'line 1, column 11: "require" must stand before all other commands'],
    ['fileinto "x";', 'line 1, column 1: "fileinto" needs: require "fileinto";'],
    ['fly;', 'line 1, column 1: unknown command "fly"'],
    ['constructor;', 'line 1, column 1: unknown command "constructor"'],
    ['if flying {}', 'line 1, column 4: unknown test "flying"'],
    ['if true;', 'line 1, column 1: "if" needs a block in braces'],
    ['keep {}', 'line 1, column 1: "keep" takes no block: it ends with ";"'],
    ['if {}', 'line 1, column 1: "if" needs a test'],
    ['if (true) {}', 'line 1, column 1: "if" takes one test, without parentheses'],
    ['if anyof true {}', 'line 1, column 10: "anyof" needs a list of tests in parentheses'],
    ['keep true;', 'line 1, column 6: "keep" takes no test'],
    ['else {}', 'line 1, column 1: "else" has no "if" before it'],
    ['keep; elsif true {}', 'line 1, column 7: "elsif" has no "if" before it'],
    ['if true {} keep; else {}', 'line 1, column 18: "else" has no "if" before it'],
    ['if true {} else {} elsif true {}', 'line 1, column 20: "elsif" after "else"'],
    ['if true {} else {} else {}', 'line 1, column 20: "else" has no "if" before it'],
    ['redirect;', 'line 1, column 1: "redirect" needs a string more'],
    ['redirect "a@example.com" "b";', 'line 1, column 26: "redirect" has an argument too many'],
    ['redirect ["a@example.com"];', 'line 1, column 10: "redirect" needs a string here'],
    ['redirect "nobody";', 'line 1, column 10: "nobody" is not an address to send to'],
    ['if size 10 {}', 'line 1, column 4: "size" needs ":over" or ":under"'],
    ['if size :over :under 10 {}', 'line 1, column 15: only one comparison can be given: ":over" or ":under"'],
    ['if size 10 :over {}', 'line 1, column 12: ":over" must stand before the other arguments'],
    ['if header :is :contains "a" "b" {}', 'line 1, column 15: only one match type can be given: ":is" or ":contains"'],
    ['if header :is :is "a" "b" {}', 'line 1, column 15: ":is" is given twice'],
    ['if header :often "a" "b" {}', 'line 1, column 11: "header" has no argument ":often"'],
    ['if header :comparator "a" {}', 'line 1, column 4: "header" needs a string or a list of strings more'],
    ['if header :comparator "i;klingon" "a" "b" {}', 'line 1, column 23: "i;klingon" is no comparator of this server'],
    ['if header :comparator "i;ascii-numeric" "a" "b" {}', 'line 1, column 23: "i;ascii-numeric" needs: require "comparator-i;ascii-numeric";'],
    [
      'require "comparator-i;ascii-numeric"; if header :contains :comparator "i;ascii-numeric" "a" "1" {}',
      'line 1, column 71: "i;ascii-numeric" cannot be used with ":contains": it compares whole values only',
    ],
    ['if header :count "eq" "a" "1" {}', 'line 1, column 11: ":count" needs: require "relational";'],
    ['require "relational"; if header :count "more" "a" "1" {}', 'line 1, column 40: "more" is no relation: "gt", "ge", "lt", "le", "eq" or "ne"'],
    ['if address "subject" "x" {}', 'line 1, column 12: "subject" is not a header field with addresses'],
    ['require "envelope"; if envelope "auth" "x" {}', 'line 1, column 33: "auth" is no part of the envelope: "from" or "to"'],
    ['if address :user "from" "x" {}', 'line 1, column 12: ":user" needs: require "subaddress";'],
    ['require "regex"; if header :regex "a" "(" {}', 'line 1, column 39: the regular expression "(": "(" without ")"'],
    ['require "index"; if header :last "a" "b" {}', 'line 1, column 21: ":last" needs ":index"'],
    ['require "index"; if header :index 0 "a" "b" {}', 'line 1, column 21: ":index" counts from 1'],
    ['require "date"; if currentdate "century" "21" {}', 'line 1, column 32: "century" is no part of a date'],
    ['require "date"; if currentdate :zone "CET" "hour" "21" {}', 'line 1, column 38: "CET" is not a time zone such as "+0100"'],
    ['require "variables"; set "1" "x";', 'line 1, column 26: the name of a variable is made of letters, digits and "_"'],
    ['require "variables"; set "${a}" "x";', 'line 1, column 26: the name of a variable is made of letters, digits and "_"'],
    ['require "variables"; set :lower :upper "a" "x";', 'line 1, column 33: only one modifier of precedence 40 can be given: ":lower" or ":upper"'],
    ['require ["variables", "fileinto"]; fileinto "${vnd.x}";', 'line 1, column 45: the variable "vnd.x" is in a name space that does not exist'],
    ['require "imap4flags"; setflag "x" "\\\\Seen";', 'line 1, column 23: "setflag with a variable" needs: require "variables";'],
    ['require "vacation"; vacation :seconds 5 "x";', 'line 1, column 30: ":seconds" needs: require "vacation-seconds";'],
    ['require "vacation"; vacation :from "me" "x";', 'line 1, column 36: "me" is not an address'],
    ['require "vacation"; vacation :from "a@example.com, b@example.com" "x";', 'line 1, column 36: "a@example.com, b@example.com" is not an address'],
    ['require "fileinto"; fileinto "";', 'line 1, column 30: "" cannot be the name of a mailbox'],
    ['require ["fileinto", "special-use"]; fileinto :specialuse "Junk" "x";', 'line 1, column 59: "Junk" is not a special use such as "\\Archive"'],
    ['require "encoded-character"; if header "a" "${unicode:d800}" {}', 'line 1, column 44: "d800" is not the number of a Unicode character'],
    ['require "ihave"; if ihave "telepathy" { keep; } fly "', 'line 1, column 53: the string that begins here has no closing quote'],
  ])('%s', (script, message) => expect(refusal(script)).toBe(message))
})

test('every capability can be required', () => {
  expect(refusal(`require [${capabilities.map((name) => `"${name}"`).join(', ')}];`)).toBe('taken')
})

test('vacation-seconds implies vacation', () => {
  expect(refusal('require "vacation-seconds"; vacation :seconds 600 "away";')).toBe('taken')
})

test('an empty script and one of comments are taken', () => {
  expect([refusal(''), refusal('# nothing\n/* here */')]).toEqual(['taken', 'taken'])
})
