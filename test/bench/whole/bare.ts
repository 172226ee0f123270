/** The floor for a proxy in Node: http in, undici's dispatch out, nothing looked at. `node bare.ts UPSTREAM_URL`; prints where it listens. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const upstream = new Pool(process.argv[2]!, { connections: 100 });
const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part)).on('end', () => {
    upstream.dispatch({ method: request.method as 'POST', path: request.url!, headers: { 'content-type': request.headers['content-type'] ?? '' }, body: Buffer.concat(parts) }, {
      onRequestStart: () => {},
      onResponseStart: (_, status, headers) => {
        response.writeHead(status, headers as Record<string, string>);
        response.cork();
      },
      onResponseData: (_, part) => { response.write(part); },
      onResponseEnd: () => { response.end(); },
      onResponseError: () => { response.destroy(); },
    });
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify({ proxy_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })}\n`));
