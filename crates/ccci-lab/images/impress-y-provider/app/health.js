// The container's health check: exit 0 when the server answers.
const answer = await fetch(`http://127.0.0.1:${process.env.PORT || 4444}/ping`).catch(() => ({ ok: false }));
process.exit(answer.ok ? 0 : 1);
