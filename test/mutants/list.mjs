// Each mutant takes one safeguard out of the compiled program. `seed` is one that is known to show the loss; `npm run build` first.
// A `find` text must occur exactly once in the file; when the source changes, adapt it here.

const alone = (file, find, replace) => [{ file, find, replace }]

export const mutants = [
  {
    name: 'the swap compares no revision',
    edits: alone('sim/store-session.js', 'Number(action.expected.revision) });', "store.entries.get('owners/' + action.group)?.modRevision ?? 0 });"),
  },
  { name: 'the epoch does not grow', edits: alone('groups/ownership.js', 'epoch: record.epoch + 1,', 'epoch: record.epoch,') },
  { name: 'a copy outside the in-sync set may take over', edits: alone('groups/handover.js', 'if (!record.inSync.includes(node))', 'if (false)') },
  { name: 'a new owner keeps the old in-sync set', edits: alone('groups/ownership.js', 'inSync: [change.owner],', 'inSync: record.inSync,') },
  {
    name: 'leaving: the setting before the record',
    edits: alone(
      'groups/in-sync.js',
      'if (leaving.length > 0) {',
      `const staying = members.filter((node) => !leaving.some((entry) => entry.node === node));
    if (leaving.length > 0 && !sameSet(instance.synchronous, staying)) return [{ lane: 'instance', kind: 'setSynchronous', group: record.group, nodes: staying, epoch: record.epoch }];
    if (leaving.length > 0) {`,
    ),
  },
  { name: 'joining: the record before the setting is in force', edits: alone('groups/in-sync.js', 'if (!settled)', 'if (!settled && joiner === null)') },
  {
    name: 'joining: without the log from where the setting was in force',
    edits: alone('groups/in-sync.js', 'progress === undefined || progress.flushLsn < instance.synchronousSince', 'false'),
  },
  {
    name: 'joining: while a change that takes the joiner out of the setting is on its way',
    edits: [
      { file: 'groups/in-sync.js', find: '|| group.instanceBusy !== null', replace: '' },
      { file: 'supervisor/group-state.js', find: `if (action.kind === 'setSynchronous' && this.instance?.kind === 'primary')`, replace: 'if (false)' },
    ],
  },
  {
    name: 'joining: an owner whose session has run out lets others in',
    edits: alone('groups/deadline.js', '&& view.sessionDeadline - now > 2 * view.timing.stopMarginMs', ''),
  },
  { name: 'the gate opens before the log tail is confirmed', edits: alone('groups/owning.js', 'waitsForAll && tailConfirmed ?', 'waitsForAll ?') },
  {
    name: 'the gate opens before commits wait for every member',
    edits: [
      { file: 'groups/owning.js', find: 'waitsForAll && tailConfirmed ?', replace: 'tailConfirmed ?' },
      { file: 'groups/owning.js', find: 'synchronous: others(record, view.self)', replace: 'synchronous: []' },
    ],
  },
  { name: 'a promise does not bind its giver', edits: alone('groups/takeover.js', 'group.promiseGiven !== null && ', 'false && ') },
  {
    name: 'a promise counts from its receipt',
    edits: alone('supervisor/supervisor.js', 'const until = sentAt + promise.ms', 'const until = this.now + promise.ms'),
  },
  { name: 'the longest promise counts, not the shortest', edits: alone('groups/deadline.js', 'Math.min(...others', 'Math.max(...others') },
  {
    name: 'promises are forgotten at a restart, and nothing is waited for',
    edits: alone('groups/takeover.js', 'if (now - view.startedAt < view.timing.promiseMs)', 'if (false)'),
  },
  {
    name: 'promises are given while a takeover is under way',
    edits: [
      { file: 'groups/promise.js', find: ' || group.pendingRecord !== null', replace: '' },
      {
        file: 'supervisor/supervisor.js',
        find: `if (action.lane === 'promise') {
            if (group.pendingRecord !== null)
                return;`,
        replace: `if (action.lane === 'promise') {`,
      },
    ],
  },
  { name: 'the guardian does not enforce the deadline', edits: alone('sim/guardian.js', 'this.world.takeDown(', '(() => undefined)(') },
  {
    name: 'the supervisor leaves the deadline to the guardian',
    edits: alone('groups/owning.js', 'if (now >= until - view.timing.stopMarginMs)', 'if (false)'),
  },
  { name: 'the session counts from the answer', edits: alone('supervisor/supervisor.js', 'sentAt + result.ttlMs)', 'this.now + result.ttlMs)') },
  { name: 'a pending change of the set does not count for the deadline', edits: alone('groups/deadline.js', ', ...(group.pendingRecord?.inSync ?? [])', '') },
  {
    name: 'the guardian learns of a deadline after the swap',
    edits: alone(
      'supervisor/supervisor.js',
      `if (action.kind === 'swapRecord')
            this.announce();`,
      '',
    ),
  },
  {
    name: 'own silence suffices, without a majority',
    edits: alone('groups/silence.js', 'own?.silent === true && selfVotes && agreeing.length * 2 > voters.length', 'own?.silent === true'),
  },
  {
    name: 'R2 does not compare that the session is absent',
    edits: alone('groups/takeover.js', `rule.cause === 'session-expired' ? record.owner : null`, 'null'),
  },
  {
    name: 'a swap of unknown outcome counts as failed',
    edits: alone('supervisor/supervisor.js', 'if (outcome.unknown === true)', 'if (false)'),
  },
  {
    name: 'a swap that may have been carried out ends when a later attempt was not',
    edits: alone('supervisor/supervisor.js', `!group.doubted('record') || outcome.compared === true`, 'outcome.unknown !== true'),
  },
  {
    name: 'an owner that is down is promised that nobody takes over',
    edits: alone('groups/promise.js', 'if (!serves && ', 'if (false && '),
  },
  {
    name: 'an owner that hears nobody drops its peers at once',
    edits: alone('groups/in-sync.js', 'othersMayDecide(view) && ', 'false && '),
  },
  {
    name: 'a candidate without a session is chosen',
    edits: alone('groups/handover.js', 'if (!view.sessions.has(node))', 'if (false)'),
  },
  {
    name: 'the failover threshold is ignored',
    edits: alone('groups/failover-limit.js', 'recentFailovers(record, group.config, view.wallMs) < group.config.failover.threshold', 'true'),
  },
  {
    name: 'observations that an action has overtaken are believed',
    edits: alone('supervisor/supervisor.js', `!group.running.has('instance') && input.asOf >= group.instanceChangedAt`, 'true'),
  },
  {
    name: 'a change of owner leaves no decision record',
    edits: alone('groups/handover.js', 'decision: decisionRecord(view, group, record, next, change),', 'decision: null,'),
  },
  {
    name: 'a former owner goes on running',
    edits: alone('groups/following.js', `return [{ lane: 'instance', kind: 'stop'`, `return [].concat([]) && [] || [{ lane: 'instance', kind: 'stop'`),
  },
  {
    name: 'a swap of an earlier life of the cluster service is carried out',
    edits: alone('sim/store-session.js', 'const compares = [{', 'const compares = []; const dropped = [{'),
  },
  {
    name: 'what is told before the first read is dropped',
    edits: alone('supervisor/supervisor.js', 'this.early.splice(0).slice(-earlyMax)', 'this.early.splice(0).slice(-earlyMax, 0)'),
  },
  {
    name: 'a former primary starts without its log being compared',
    edits: alone('groups/following.js', 'if (instance.wasPrimary || instance.failure !== undefined)', 'if (false)'),
  },
  {
    name: 'nobody drops a copy that does not flush',
    edits: alone('groups/in-sync.js', 'stalledMs >= view.timing.dropStalledAfterMs', 'false'),
  },
]
