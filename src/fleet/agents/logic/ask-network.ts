import { connect } from 'node:net';
import type { Answer, MemberQuestion } from '../../driver/driver.ts';

const timeoutMsDefault = 2000;
const valueSizeBytesMax = 64 * 1024;

/** Where a member's port is reached from the agent; `undefined`: it is not. */
export type AddressOf = (question: MemberQuestion, port: string) => { readonly host: string; readonly port: number } | undefined;

/** Asks a question that goes over the network. `undefined`: it is none of these. Never rejects, but by the signal. */
export async function askNetwork(asked: MemberQuestion, addressOf: AddressOf, signal: AbortSignal): Promise<Answer | undefined> {
  const { http, tcp, jsonRpc, timeoutMs = timeoutMsDefault } = asked.question;
  const port = (http ?? tcp ?? jsonRpc)?.port;
  if (port === undefined) return undefined;
  const address = addressOf(asked, port);
  if (!address) return unknown(`port "${port}" cannot be reached from here`);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    if (tcp) return await askTcp(address.host, address.port, patience);
    const base = `http://${address.host}:${address.port}`;
    if (http) return await askHttp(`${base}${http.path}`, http.status, patience);
    if (jsonRpc) return await askJsonRpc(`${base}${jsonRpc.path ?? '/'}`, jsonRpc, patience);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return no(messageOf(error, timeoutMs));
  }
}

async function askTcp(host: string, port: number, signal: AbortSignal): Promise<Answer> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
  return yes('');
}

async function askHttp(url: string, status: number | undefined, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(url, { signal, redirect: 'manual' });
  const value = await textOf(response);
  const isWanted = status === undefined ? response.ok : response.status === status;
  return isWanted ? yes(value) : { ...no(`answered ${response.status}`), value };
}

async function askJsonRpc(
  url: string,
  { method, params = [], user, password = '' }: NonNullable<MemberQuestion['question']['jsonRpc']>,
  signal: AbortSignal,
): Promise<Answer> {
  const account = user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...account },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal,
    redirect: 'manual',
  });
  const text = await textOf(response);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return no(`answered ${response.status}, and no JSON`);
  }
  const { result, error } = Object(answer) as { readonly result?: unknown; readonly error?: unknown };
  if (error !== undefined && error !== null)
    return no(`answered an error: ${String(Object(error).message ?? JSON.stringify(error))}`);
  return yes(JSON.stringify(result ?? null));
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= valueSizeBytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, valueSizeBytesMax).toString();
}

export const yes = (value: string): Answer => ({ isOk: true, isUnknown: false, value, message: '' });
export const no = (message: string): Answer => ({ isOk: false, isUnknown: false, value: '', message });
export const unknown = (message: string): Answer => ({ isOk: false, isUnknown: true, value: '', message });

function messageOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `does not answer in ${timeoutMs} ms`;
  const { cause } = error;
  return cause instanceof Error ? cause.message : error.message;
}
