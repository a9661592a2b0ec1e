/** A message or a body part. Offsets are into the bytes of the whole message, so a section is a slice and nothing is ever re-encoded. */
export interface MessagePart {
  readonly headerStart: number
  /** After the empty line that ends the header. */
  readonly bodyStart: number
  readonly bodyEnd: number
  readonly type: string
  readonly subtype: string
  readonly parameters: ReadonlyArray<readonly [string, string]>
  readonly id: string | undefined
  readonly description: string | undefined
  readonly encoding: string
  readonly md5: string | undefined
  readonly disposition: { readonly type: string; readonly parameters: ReadonlyArray<readonly [string, string]> } | undefined
  readonly language: readonly string[]
  readonly location: string | undefined
  /** Line ends in the body. */
  readonly lines: number
  /** Of a multipart; empty otherwise. */
  readonly children: readonly MessagePart[]
  /** Of message/rfc822 and message/global. */
  readonly message: MessageRoot | undefined
}

export interface MessageRoot extends MessagePart {
  readonly envelope: MessageEnvelope
}

/** Raw strings, encoded words untouched (RFC 9051 §7.5.2). */
export interface MessageEnvelope {
  readonly date: string | undefined
  readonly subject: string | undefined
  readonly from: readonly EnvelopeAddress[]
  readonly sender: readonly EnvelopeAddress[]
  readonly replyTo: readonly EnvelopeAddress[]
  readonly to: readonly EnvelopeAddress[]
  readonly cc: readonly EnvelopeAddress[]
  readonly bcc: readonly EnvelopeAddress[]
  readonly inReplyTo: string | undefined
  readonly messageId: string | undefined
}

/** A group begins with a mailbox (its name) without host and ends with neither. */
export interface EnvelopeAddress {
  readonly name: string | undefined
  readonly mailbox: string | undefined
  readonly host: string | undefined
}
