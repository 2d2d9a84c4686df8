// Collaboration on documents: a room for each document, in which browsers see each other's edits. Nothing is stored
// here: the pages save through the backend.
import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { Hocuspocus } from '@hocuspocus/server';
import express from 'express';
import expressWs from 'express-ws';

import { Refused, admit } from './access.js';
import { settings } from './settings.js';

const config = read();
function read() {
  try {
    return settings(process.env);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}

const log = (...words) => config.logs && console.log(...words);

const rooms = new Hocuspocus({
  name: 'y-provider',
  quiet: true,
  async onConnect({ documentName, requestParameters, requestHeaders, connectionConfig }) {
    try {
      const room = requestParameters.get('room');
      const { readOnly, userId } = await admit(config.backend, documentName, room, requestHeaders);
      connectionConfig.readOnly = readOnly;
      log(`room ${documentName}: entered${readOnly ? ', to read' : ''}`);
      return { userId };
    } catch (error) {
      if (error instanceof Refused) {
        log(`room ${documentName}: refused, ${error.reason}`);
        throw error;
      }
      // A backend that cannot be reached lets nobody in, and is a line in the log whatever is set.
      console.error(`room ${documentName}: cannot ask ${config.backend}:`, error.message, error.cause?.code ?? '');
      throw new Refused('the backend cannot be asked');
    }
  },
});

function sameKey(given) {
  const [a, b] = [Buffer.from(given), Buffer.from(config.apiKey)];
  return a.length === b.length && timingSafeEqual(a, b);
}

// Closes the connections of a room, or those of one user in it: its rights have changed.
function reset(room, userId) {
  for (const { connection } of rooms.documents.get(room)?.connections.values() ?? []) {
    if (!userId || connection.context.userId === userId) connection.close({ code: 4205, reason: 'Reset Connection' });
  }
}

const app = express();
const server = createServer(app);
// Not the sockets' own list of clients, which nobody needs.
expressWs(app, server, { leaveRouterUntouched: true });

app.get('/ping', (_, answer) => answer.json({ message: 'pong' }));

app.post('/collaboration/api/reset-connections/', (request, answer) => {
  const { authorization } = request.headers;
  if (!authorization) return answer.status(401).json({ error: 'no Authorization header' });
  if (!sameKey(authorization)) return answer.status(403).json({ error: 'wrong key' });
  const { room } = request.query;
  if (typeof room !== 'string' || !room) return answer.status(400).json({ error: 'no room' });
  reset(room, request.headers['x-user-id']);
  return answer.json({ message: 'Connections reset' });
});

app.ws('/collaboration/ws/', (socket, request) => {
  const { origin } = request.headers;
  if (origin && config.origins.length > 0 && !config.origins.includes(origin)) {
    log(`origin ${origin}: refused`);
    return socket.close(4403, 'Forbidden');
  }
  return rooms.handleConnection(socket, request);
});

server.listen(config.port, () => console.log(`listens on ${config.port}, asks ${config.backend}`));
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0));
