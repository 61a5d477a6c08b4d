// An application that lets its customers connect an account, and then reads their contacts.
// Run it: JACKFIELD_URL=http://127.0.0.1:3000 JACKFIELD_API_KEY=jk_… node server.mjs
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const jackfield = process.env.JACKFIELD_URL ?? 'http://127.0.0.1:3000';
const key = process.env.JACKFIELD_API_KEY;
if (!key) throw new Error('set JACKFIELD_API_KEY to the key of your project');

// Who is signed in to your application. Yours comes from a session.
const customer = 'customer-17';

// The API key stays on this server: no browser ever sees it.
async function api(method, path, { body, token } = {}) {
  const headers = { authorization: `Bearer ${key}` };
  if (body) headers['content-type'] = 'application/json';
  if (token) headers['x-connection-token'] = token;
  const answer = await fetch(jackfield + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

const routes = {
  'GET /': async () => {
    const page = await readFile(new URL('index.html', import.meta.url), 'utf8');
    return page.replaceAll('JACKFIELD_URL', jackfield);
  },
  // A link for this customer, made when it is needed: it is good for an hour.
  'POST /connect': async () => {
    const { url } = await api('POST', '/connect/links', { body: { linked_user_origin_id: customer } });
    return { url };
  },
  // What the customer connected. A connection is found by the customer, never by what a browser says.
  'GET /contacts': async () => {
    // Named by the customer: without that the list has the connections of all of them.
    const connections = await api('GET', `/connections?linked_user_origin_id=${encodeURIComponent(customer)}`);
    const own = connections[0];
    if (!own) return { connector: null, contacts: [] };
    const page = await api('GET', '/crm/contacts?limit=5', { token: own.connection_token });
    return { connector: own.provider_slug, contacts: page.data.map((one) => `${one.first_name} ${one.last_name}`) };
  },
};

const server = createServer(async (request, response) => {
  const route = routes[`${request.method} ${new URL(request.url, 'http://localhost').pathname}`];
  if (!route) return response.writeHead(404).end('not found');
  try {
    const answer = await route();
    const page = typeof answer === 'string';
    response.writeHead(200, { 'content-type': page ? 'text/html; charset=utf-8' : 'application/json' });
    response.end(page ? answer : JSON.stringify(answer));
  } catch (error) {
    console.error(error);
    response.writeHead(502, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'that did not work' }));
  }
});
server.listen(Number(process.env.PORT ?? 4000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
