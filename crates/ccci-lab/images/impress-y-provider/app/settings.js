// What the environment says. A key may come as a variable or, as secrets do, as a file.
import { readFileSync } from 'node:fs';

function secret(name, env) {
  const file = env[`${name}_FILE`];
  return (file ? readFileSync(file, 'utf8').trim() : env[name]) || undefined;
}

export function settings(env) {
  const found = {
    port: Number(env.PORT || 4444),
    backend: env.COLLABORATION_BACKEND_BASE_URL?.replace(/\/+$/, ''),
    apiKey: secret('Y_PROVIDER_API_KEY', env),
    // Pages that may open a connection; without the variable, any.
    origins: env.COLLABORATION_SERVER_ORIGIN?.split(',').map((o) => o.trim()).filter(Boolean) ?? [],
    logs: env.COLLABORATION_LOGGING === 'true',
  };
  if (!found.backend) throw new Error('COLLABORATION_BACKEND_BASE_URL is not set: it says who may see a document');
  if (!found.apiKey) throw new Error('neither Y_PROVIDER_API_KEY nor Y_PROVIDER_API_KEY_FILE is set');
  return found;
}
