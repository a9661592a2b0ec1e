import type { AccountContext } from './account-context.ts'
import type { AccountMail, MailboxEntry } from './account-mail.ts'
import { copyMessages, moveMessages } from './copying.ts'
import { createMailbox, listMailboxes, removeMailbox, renameMailbox, setSubscribed, statusOf } from './mailboxes.ts'
import { appendMessage, changesSince, claimRecent, content, expunge, messages, openMailbox, storeFlags, structures } from './messages.ts'
import { searchMailbox } from './search-sql.ts'

export function createAccountMail(context: AccountContext): AccountMail {
  return {
    accountId: context.accountId,
    mailboxes: () => listMailboxes(context),
    create: (name) => createMailbox(context, name),
    remove: (mailbox) => removeMailbox(context, mailbox),
    rename: (mailbox: MailboxEntry, to) => renameMailbox(context, mailbox, to),
    setSubscribed: (name, subscribed) => setSubscribed(context, name, subscribed),
    status: (ids) => statusOf(context, ids),
    open: (id) => openMailbox(context, id),
    changesSince: (id, modseq) => changesSince(context, id, modseq),
    claimRecent: (id) => claimRecent(context, id),
    messages: (id, uids) => messages(context, id, uids),
    structures: (id, uids) => structures(context, id, uids),
    content: (id, uid) => content(context, id, uid),
    append: (id, message) => appendMessage(context, id, message),
    storeFlags: (id, uids, change) => storeFlags(context, { mailboxId: id, uids, change }),
    expunge: (id, uids) => expunge(context, id, uids),
    copy: (id, uids, to) => copyMessages(context, { from: id, uids, to }),
    move: (id, uids, to) => moveMessages(context, { from: id, uids, to }),
    search: (id, test) => searchMailbox(context, id, test),
    watch: (id, changed) => context.feed.watch(id, changed),
  }
}
