/** nchan: an event stream of nginx, in C. Its one worker is what is measured; this process publishes to it over HTTP. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { message, serveBench } from './serve.js';

/** Where Debian's package puts it. */
const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';
/** Clock ticks in a second, in the accounts of processes. */
const TICKS = 100;
const PAGE = 4_096;

const folder = mkdtempSync(join(tmpdir(), 'bench-nchan-'));
let nginx: ChildProcess | undefined;
let worker = '';
let publisher: Socket;

process.once('exit', () => {
  nginx?.kill('SIGKILL');
  if (worker) process.kill(Number(worker), 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const config = (port: number): string => `
load_module ${MODULE};
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
worker_rlimit_nofile 20000;
events { worker_connections 20000; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_requests 100000000; nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /pub { nchan_publisher; nchan_channel_id $arg_object; nchan_store_messages off; }
    location /stream {
      nchan_subscriber eventsource; nchan_subscriber_first_message newest;
      nchan_channel_id $arg_objects; nchan_channel_id_split_delimiter ","; nchan_eventsource_event notification;
    }
  }
}`;

async function start(): Promise<number> {
  const port = await freePort();
  writeFileSync(join(folder, 'nginx.conf'), config(port));
  nginx = spawn('/usr/sbin/nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' });
  for (let tries = 0; tries < 100 && !worker; tries++) {
    await wait(50);
    worker = workerOf(nginx.pid ?? 0);
  }
  publisher = connect({ port, host: '127.0.0.1', noDelay: true });
  publisher.resume();
  return port;
}

function workerOf(master: number): string {
  const children = `/proc/${master}/task/${master}/children`;
  return existsSync(children) ? (readFileSync(children, 'latin1').split(' ')[0] ?? '') : '';
}

serveBench({
  listen: start,
  publish(object, action) {
    const { data } = message(object, action);
    publisher.write(
      `POST /pub?object=${object} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${data.length}\r\n\r\n${data}`,
    );
  },
  used() {
    const stat = readFileSync(`/proc/${worker}/stat`, 'latin1');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user = 0, system = 0] = [fields[11], fields[12]].map((ticks) => ((ticks ?? 0) / TICKS) * 1e6);
    return { cpu: user + system, system, rss: (fields[21] ?? 0) * PAGE };
  },
});
