// Who may enter a room: the backend decides, asked with the cookie of the browser that knocks.

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const PATIENCE_MS = 10_000;

// A refusal whose reason the browser is told.
export class Refused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

async function ask(base, path, headers) {
  const sent = {};
  for (const name of ['cookie', 'origin']) if (headers[name]) sent[name] = headers[name];
  return fetch(`${base}/api/v1.0${path}`, {
    headers: { ...sent, accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
}

async function document(base, id, headers) {
  const answer = await ask(base, `/documents/${id}/`, headers);
  if (answer.status !== 200) throw new Refused(`the backend gives ${answer.status} for this document`);
  return answer.json();
}

async function user(base, headers) {
  const answer = await ask(base, '/users/me/', headers);
  // A public document may be read without a login.
  return answer.status === 200 ? answer.json() : undefined;
}

// What this browser may do in this room, or a refusal.
export async function admit(base, documentName, room, headers) {
  if (documentName !== room) throw new Refused('the document is not the room that was asked for');
  if (!UUID_V4.test(room)) throw new Refused('the room is no UUID of version 4');
  const { abilities } = await document(base, room, headers);
  if (!abilities?.retrieve) throw new Refused('this document may not be read');
  const who = await user(base, headers);
  return { readOnly: !abilities.update, userId: who?.id };
}
