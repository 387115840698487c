/** What the two halves of the adapter tell each other through `/config` and `/auth`. Types only. */

/** `ConfigAnswer.settings`: where a page connects. */
export interface PusherPublicSettings {
  readonly key: string;
  readonly cluster?: string;
  readonly host?: string;
  readonly port?: number;
  readonly scheme: 'https' | 'http';
}

/** `ProviderAuthorised.details`: signatures for one socket. */
export interface PusherDetails {
  /** For `pusher:signin`, so that the connections of one user can be ended. */
  readonly user: { readonly auth: string; readonly user_data: string };
  /** Every name to hold, by period; names that are not here are to be left. */
  readonly periods: readonly {
    /** Milliseconds from the answer on; negative for a period that is over. */
    readonly endsIn: number;
    /** How long after its end its names are still held, in milliseconds. */
    readonly keep: number;
    /** Names with their signatures. */
    readonly names: Readonly<Record<string, string>>;
  }[];
}
