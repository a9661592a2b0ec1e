import { afterAll, afterEach, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { RigCluster } from '../rig/cluster.ts'
import { Rig, rigObstacle } from '../rig/rig.ts'
import { suffer } from './fault.ts'
import { matrix, restore } from './matrix.ts'

const obstacle = rigObstacle()
if (obstacle !== undefined) process.stderr.write(`\n*** SKIPPED: the fault matrix cannot run here: ${obstacle} ***\n\n`)

/** Real processes on hosts in namespaces; a client of SQL and a client of LMTP and IMAP record what they were told. */
describe.skipIf(obstacle !== undefined)('continuous replication on hosts', () => {
  let rig: Rig
  let cluster: RigCluster
  beforeAll(async () => {
    rig = await Rig.create()
    cluster = await RigCluster.create(rig, { mail: true })
  }, 300_000)
  afterEach(async () => {
    if (cluster !== undefined) await restore(cluster)
  })
  afterAll(async () => {
    await rig?.close()
  })

  test.each(matrix)(
    '$name: nothing acknowledged is lost, and service is back in time',
    async (fault) => {
      onTestFailed(() => void process.stderr.write(`${cluster.lastLines(40)}\n`))
      const outcome = await suffer(cluster, fault, { mail: 'too' })
      const { verdict, mail } = outcome
      expect.soft(verdict.lost, 'acknowledged and absent').toEqual([])
      expect.soft(verdict.doubled, 'rows twice').toEqual([])
      expect.soft(verdict.split, 'two nodes acknowledged').toEqual([])
      expect.soft(verdict.warned, 'acknowledged without the copy').toEqual([])
      expect.soft(mail?.lost, 'mail taken and absent').toEqual([])
      expect.soft(mail?.doubled, 'mail twice').toEqual([])
      expect.soft(mail?.shownThenGone, 'mail shown, then gone').toEqual([])
      expect.soft(mail?.renamed, 'UIDs with another message').toEqual([])
      expect.soft(outcome.outage.ms, 'outage in ms').toBeLessThan(fault.outageMsMax)
      if (fault.unnoticed === true) expect.soft(mail?.deliveredAgain, 'offered again after a lost connection').toBe(0)
      if (fault.owner === 'moves') expect.soft(outcome.activeAfter).not.toBe(outcome.active)
      if (fault.owner === 'stays') expect.soft(outcome.activeAfter).toBe(outcome.active)
      process.stdout.write(
        `    ${fault.name}: SQL ${outcome.outage.ms.toFixed(0)} ms, ${verdict.acknowledged} acknowledged, ${verdict.lost.length} lost; ` +
          `mail ${mail?.gapMs.toFixed(0)} ms, ${mail?.delivered} taken (${mail?.deliveredAgain} offered again), ${mail?.lost.length} lost\n`,
      )
    },
    300_000,
  )
})
