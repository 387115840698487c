/**
 * What the samples of the documentation take as given: the application around them. Their names are declared here and
 * nowhere else, so a sample that needs something new must say what it is.
 */

import type { Application, RequestHandler } from 'express';
import type { ListenClient } from 'notify-listen/client';
import type { Notifier } from 'notify-listen/server';
import type { ReactElement } from 'react';

interface SampleOrder {
  readonly entity: 'Order';
  readonly id: number;
  readonly state: string;
  readonly version: number;
}
interface SampleUser {
  readonly id: string;
  readonly isClerk: boolean;
  readonly roles: readonly string[];
}

declare global {
  const app: Application;
  const session: RequestHandler;
  const notifier: Notifier;
  const client: ListenClient;
  const db: {
    transaction<T>(run: () => Promise<T>): Promise<T>;
    query(sql: string, parameters: unknown[]): Promise<{ id: number }[]>;
  };
  const orders: {
    canRead(user: SampleUser, id: string): Promise<boolean>;
    ship(id: string | number): Promise<SampleOrder>;
  };
  const order: SampleOrder;
  const user: SampleUser & ((request: unknown) => SampleUser);
  const canListen: { Order: { one: () => boolean } };
  const rights: { remove(user: SampleUser, order: SampleOrder): Promise<void> };
  const log: Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message: string) => void>;
  const form: { readonly isDirty: boolean };
  function userOfSession(id: string): Promise<string | undefined>;
  function refetch(): Promise<void>;
  function getOrder(id: number, signal?: AbortSignal): Promise<SampleOrder>;
  function toast(): void;
  function leave(): void;
  function setChanged(refresh: unknown): void;
  type Order = SampleOrder;
  function report(error: unknown): void;
  function login(): Promise<void>;
  function reload(): Promise<void>;
  function askToReload(): void;
  function useOrder(id: number): {
    order: SampleOrder;
    loadedAt: number;
    refetch: () => Promise<void>;
    form: { readonly isDirty: boolean };
  };
  function Orders(): ReactElement;
  function OrderForm(props: { order: SampleOrder }): ReactElement;
  namespace Express {
    interface Request {
      user: SampleUser;
    }
  }
}
