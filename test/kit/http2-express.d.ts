/** Makes an application of Express that takes HTTP/2, too. The package has no types of its own. */
declare module 'http2-express' {
  import type express from 'express';

  export default function http2Express(framework: typeof express): express.Express;
}
