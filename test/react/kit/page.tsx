/** A page that listens at a desk, and the waiting that its tests share. */
import { cleanup, waitFor } from '@testing-library/react';
import type { ReactElement, ReactNode } from 'react';
import { afterEach, expect } from 'vitest';
import type { ListenClientOptions } from '../../../widget/client/types.js';
import { ListenProvider } from '../../../widget/react/index.js';
import type { Desk } from './desk.js';

afterEach(cleanup);

/** How long a test waits to see that nothing happens. Longer than everything here takes when it does happen. */
const QUIET_MS = 80;

export function nothingHappens(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, QUIET_MS));
}

/** Longer than the linger after which a subscription without listeners is given up. */
export const LINGER_OVER = { timeout: 3_000 };

export type PageProps = ListenClientOptions & { desk: Desk; name?: string; children?: ReactNode };

export function Page({ desk, children, ...options }: PageProps): ReactElement {
  return (
    <ListenProvider url="/notify-listen" world={{ fetch: desk.fetch }} {...options}>
      {children}
    </ListenProvider>
  );
}

export const order = { entity: 'Order', id: 42 };

/** Resolves once the desk's streams cover exactly these channels. */
export async function covers(desk: Desk, ...channels: string[]): Promise<void> {
  await waitFor(() => expect(desk.covered().sort()).toEqual([...channels].sort()), LINGER_OVER);
}
