const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
const characters: Readonly<Record<string, string>> = Object.fromEntries(Object.entries(entities).map(([character, entity]) => [entity, character]))

export type XmlChild = string | number | readonly XmlElement[]
export type XmlElement = readonly [name: string, attributes: Readonly<Record<string, string>>, content: XmlChild]

export function xmlDocument(root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(root, '')}`
}

function element([name, attributes, content]: XmlElement, indent: string): string {
  const start = `${indent}<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escaped(value)}"`)
    .join('')}>`
  if (typeof content === 'string' || typeof content === 'number') return `${start}${escaped(String(content))}</${name}>\n`
  return `${start}\n${content.map((child) => element(child, `${indent}  `)).join('')}${indent}</${name}>\n`
}

/** Control characters cannot be in XML at all. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character] ?? character)
}

/**
 * The text of the first element of this local name, whatever its prefix; undefined when there is none, or it has elements inside. Enough for requests that are
 * one element with a text; what is no XML is not noticed.
 */
export function textOfElement(xml: string, name: string): string | undefined {
  const found = new RegExp(`<(?:[A-Za-z_][\\w.-]{0,60}:)?${name}(?:\\s[^<>]{0,500})?>([^<]{0,2000})</`).exec(xml)?.[1]
  return found?.replace(/&(?:amp|lt|gt|quot|apos);/g, (entity) => characters[entity] ?? entity).trim()
}
