/** Reports, worked out in the background. Nobody but the one who asked hears of them. */
import { Listen } from 'notify-listen/react';
import { type ReactNode, useState } from 'react';
import type { Report } from '../server/reports.js';
import { post } from './api.js';
import { say } from './notices.js';
import { refreshing } from './refreshed.js';
import { useFlash } from './use-flash.js';
import { useLoaded } from './use-loaded.js';
import { euros, when } from './words.js';

export function ReportsPage(): ReactNode {
  const { data: reports, error, loadedAt, reload } = useLoaded<readonly Report[]>('reports');
  const [busy, setBusy] = useState(false);

  async function ask(): Promise<void> {
    setBusy(true);
    await post('reports').catch((problem: Error) => say(problem.message));
    setBusy(false);
  }

  return (
    <>
      <Listen
        object={{ entity: 'Report' }}
        loadedAt={loadedAt}
        actions={[
          { on: ['asked', 'progressed', 'finished'], run: reload },
          // Sent to the login session that asked. A sentence to a person is no refresh: nothing repeats it later.
          { on: 'ready', run: [refreshing(reload), () => say('Your report is ready.')], resync: false },
        ]}
      />
      <div className="heading">
        <h1>Reports</h1>
        <span className="actions">
          <button type="button" className="primary" disabled={busy} onClick={() => void ask()}>
            Ask for a report
          </button>
        </span>
      </div>
      <p className="muted">
        Open orders by depot, added up in the background. Only the pages of the one who asked are told; you may leave
        this page meanwhile.
      </p>
      {error && <p role="alert">{error}</p>}
      {reports?.length === 0 && <p className="empty">No report yet.</p>}
      <ul className="reports">
        {reports?.map((report) => (
          <ReportCard key={report.id} report={report} />
        ))}
      </ul>
    </>
  );
}

function ReportCard({ report }: { readonly report: Report }): ReactNode {
  const flash = useFlash(report.finishedAt);
  return (
    <li className={`card ${flash}`} data-report={report.id} data-finished={report.finishedAt !== null}>
      <h2>Report {report.id}</h2>
      <span className="muted">{when(report.askedAt)}</span>
      {report.finishedAt ? (
        <span className="status status-shipped">Ready</span>
      ) : (
        <progress max={report.steps} value={report.done} aria-label={`Report ${report.id}`} />
      )}
      {report.lines.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Depot</th>
              <th scope="col" className="number">
                Open
              </th>
              <th scope="col" className="number">
                Value
              </th>
            </tr>
          </thead>
          <tbody>
            {report.lines.map((line) => (
              <tr key={line.depot}>
                <th scope="row">{line.depot}</th>
                <td className="number">{line.open}</td>
                <td className="number">{euros(line.value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </li>
  );
}
