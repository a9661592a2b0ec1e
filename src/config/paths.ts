import { join } from 'node:path'

/** Where things are in a node's data directory. */
export const handoffdSocket = (dataDirectory: string): string => join(dataDirectory, 'handoffd.sock')
export const mailboxSocket = (dataDirectory: string): string => join(dataDirectory, 'mailbox.sock')
export const mountsSocket = (dataDirectory: string): string => join(dataDirectory, 'mounts.sock')
export const guardianSocket = (dataDirectory: string): string => join(dataDirectory, 'guardian.sock')
export const copyDirectory = (dataDirectory: string, group: string): string => join(dataDirectory, 'copies', group)
export const etcdDirectory = (dataDirectory: string): string => join(dataDirectory, 'etcd')
export const logDirectory = (dataDirectory: string): string => join(dataDirectory, 'log')
export const guardianLog = (dataDirectory: string): string => join(logDirectory(dataDirectory), 'guardian.log')
export const mailboxLog = (dataDirectory: string): string => join(logDirectory(dataDirectory), 'handoff-mailbox.log')
export const etcdLog = (dataDirectory: string): string => join(etcdDirectory(dataDirectory), 'etcd.log')
export const copyLog = (dataDirectory: string, group: string): string => join(copyDirectory(dataDirectory, group), 'log', 'postgresql.log')
export const nodeFile = (dataDirectory: string): string => join(dataDirectory, 'node.json')
export const mailboxDirectory = (dataDirectory: string): string => join(dataDirectory, 'mailbox')
