// #region worker
import { createPublisher, withSession } from 'notify-listen/server';

const publisher = createPublisher();

/** Runs one job of the queue. */
export async function work(job: { readonly report: string; readonly session: string | undefined }): Promise<void> {
  const report = { entity: 'Report', id: job.report };
  // … makes the report, and commits it …

  // Everybody who looks at it, on whatever server.
  await publisher.notify('finished', report, { notifier: 'report worker' });
  // The one login session that waits for it.
  if (job.session !== undefined)
    await withSession(job.session, () => publisher.notify('ready', report, { to: 'caller' }));
}

process.once('SIGTERM', () => publisher.close());
// #endregion
