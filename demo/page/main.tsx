/** `/as/<person>/…` is that person's desk; everything else is the stage on which desks stand side by side. */
import './style/base.css';
import './style/stage.css';
import './style/desk.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Desk } from './desk.js';
import { Stage } from './stage.js';

const person = /^\/as(?:\/([\w-]*))?/.exec(window.location.pathname);

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>{person ? <Desk person={person[1] ?? ''} /> : <Stage />}</StrictMode>,
);
