/** Numbers, money, dates and states as people read them. */
import type { Order } from '../server/orders.js';

const money = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const moment = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const euros = (cents: number): string => money.format(cents / 100);
export const when = (iso: string): string => moment.format(new Date(iso));
export const timeOfDay = (at: number): string => clock.format(at);

export const STATUSES: readonly Order['status'][] = ['new', 'packed', 'held', 'shipped'];
export const DEPOTS: readonly string[] = ['Harbour', 'Hill', 'Airport'];

export const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
export const mayShip = ({ status }: Order): boolean => status === 'new' || status === 'packed';
