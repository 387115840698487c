/** The oldest Express that the tests run against (an alias in vite.config.ts); what they use has the types of the newest. */
declare module 'express-4' {
  import express from 'express';

  export default express;
}
