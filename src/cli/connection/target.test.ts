import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseTarget, type Known } from './target.ts';

const local = 'http://127.0.0.1:8080';
const cloud = 'https://cloud.example';
const login = (token: string) => ({ token, name: 'ada' });
const base: Known = {
  server: undefined,
  token: undefined,
  home: '/h',
  isHomeGiven: false,
  actAs: undefined,
  running: undefined,
  logins: { current: undefined, servers: {} },
};
const rest = (url: string, token?: string) => ['rest', url, token];

test('which server a command speaks to', () => {
  const atCloud = { current: cloud, servers: { [cloud]: login('c') } };
  const atLocal = { current: local, servers: { [local]: login('l') } };
  const cases: [string, Partial<Known>, unknown[]][] = [
    ['named', { server: cloud }, rest(cloud)],
    ['named, with a login for it', { server: cloud, logins: atCloud }, rest(cloud, 'c')],
    ['named, a token beats the login', { server: cloud, token: 't', logins: atCloud }, rest(cloud, 't')],
    ['a login is never sent elsewhere', { server: local, logins: atCloud }, rest(local)],
    ['a token, a server of the home', { token: 't', running: { url: local }, logins: atCloud }, rest(local, 't')],
    ['a token, last login', { token: 't', logins: atCloud }, rest(cloud, 't')],
    ['a token alone', { token: 't' }, rest(local, 't')],
    ['logged in to the server of the home', { running: { url: local }, logins: atLocal }, rest(local, 'l')],
    ['a home named, no login for it', { running: { url: local }, isHomeGiven: true, logins: atCloud }, ['local', '/h']],
    ['no home named: the last login', { running: { url: local }, logins: atCloud }, rest(cloud, 'c')],
    ['nothing but a running server', { running: { url: local } }, ['local', '/h']],
    ['acting as somebody', { actAs: 'ada', running: { url: local }, logins: atLocal }, ['local', '/h']],
  ];
  for (const [name, known, expected] of cases) {
    const target = chooseTarget({ ...base, ...known });
    assert.deepEqual(target.kind === 'local' ? ['local', target.home] : ['rest', target.url, target.token], expected, name);
  }
  for (const known of [{}, { isHomeGiven: true, logins: atCloud }, { actAs: 'ada', logins: atCloud }]) {
    assert.throws(() => chooseTarget({ ...base, ...known }), { code: 'unavailable', reason: 'not_running' });
  }
});
