/** What one script may be and do. RFC 5228 §2.10.5 asks for at least 15 levels of blocks and of tests, and one redirect. */
export const limits = {
  scriptBytes: 64 * 1024,
  nesting: 15,
  commands: 1000,
  redirects: 4,
  /** fileinto and keep of one run, doubles not counted. */
  stores: 32,
  /** RFC 5229 §6 asks for at least 128 variables of 4000 octets. */
  variables: 256,
  variableCharacters: 4000,
  expandedCharacters: 128 * 1024,
  /** Characters looked at, states visited; each takes some 20 ns, so a run ends within about a second. */
  work: 50_000_000,
  regexStates: 4000,
  regexRepeat: 255,
  regexesKept: 50,
  /** Of the content that `body` looks at. */
  bodyBytes: 1024 * 1024,
  vacationSecondsMin: 60,
  vacationDaysMax: 365,
  vacationDaysDefault: 7,
  duplicateSecondsDefault: 7 * 86_400,
  duplicateSecondsMax: 30 * 86_400,
} as const
