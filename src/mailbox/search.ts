/** What a search asks for, sets resolved. Text is compared without regard to case, decoded (RFC 9051 §6.4.4); days count from 1970-01-01. */
export type SearchTest =
  | { readonly kind: 'all' }
  | { readonly kind: 'and'; readonly tests: readonly SearchTest[] }
  | { readonly kind: 'or'; readonly tests: readonly SearchTest[] }
  | { readonly kind: 'not'; readonly test: SearchTest }
  | { readonly kind: 'uids'; readonly ranges: readonly { readonly first: number; readonly last: number }[] }
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'body'; readonly value: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'internalDate' | 'sentDate'; readonly relation: 'before' | 'on' | 'since'; readonly day: number }
  | { readonly kind: 'size'; readonly relation: 'larger' | 'smaller'; readonly bytes: number }
  | { readonly kind: 'modseq'; readonly from: number }
