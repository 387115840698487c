/** The codes with which a connection is closed, and what they mean to clients: 40xx stop, 41xx wait, 42xx come back. */
export const CLOSE_REASONS: Readonly<Record<number, string>> = {
  4000: 'Application only accepts SSL connections, reconnect using wss://',
  4001: 'Application does not exist',
  4003: 'Application disabled',
  4004: 'Application is over connection quota',
  4005: 'Path not found',
  4006: 'Invalid version string format',
  4007: 'Unsupported protocol version',
  4008: 'No protocol version supplied',
  4009: 'Connection is unauthorized',
  4100: 'Over capacity',
  4200: 'Generic reconnect immediately',
  4201: 'Pong reply not received',
  4202: 'Closed after inactivity',
  4301: 'Client event rejected due to rate limit',
};

export const reasonOf = (code: number): string => CLOSE_REASONS[code] ?? 'Closed by a fault switch';
