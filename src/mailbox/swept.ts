/** A body that nobody referred to may be swept in the moment in which it is wanted again: the foreign key tells, and then it is stored anew. */
export async function againWhenSwept<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    if ((error as { readonly constraint?: unknown }).constraint !== 'message_body') throw error
    return attempt()
  }
}
