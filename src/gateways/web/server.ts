import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DescService, Message } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { type LoginResponse, Sessions } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Services } from '#gen/cellar/platform/v1/services_pb.ts';
import comments from '#gen/comments.json' with { type: 'json' };
import { assertMayCall } from '#kernel/calls/caller.ts';
import { methodOf, readContract } from '#kernel/calls/contract.ts';
import { Trace } from '#kernel/calls/trace.ts';
import { Code, Fault, invalidArgument, unauthenticated } from '#kernel/fault.ts';
import { createGuard, type Guard } from '#kernel/guard/guard.ts';
import { sendProblem, sendText } from '#kernel/rest/answer.ts';
import { createOpenApi } from '#kernel/rest/openapi.ts';
import { HttpFault } from '#kernel/rest/problem.ts';
import { createTranscoder } from '#kernel/rest/transcoder.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { createAdmit } from './admit.ts';
import { isSecure } from './client-address.ts';
import { contracts as allContracts } from './contracts.ts';
import { readCredentials, sessionCookieHeader } from './credentials.ts';
import { answerJson, answerReady } from './health.ts';
import { type Listening, listen } from './listen.ts';
import { createNotificationsDoor, notificationsPath } from './notifications.ts';
import { answerPage, htmlPage, jsonPage, type Page } from './page.ts';
import { requestMetrics } from './request-metrics.ts';
import { createS3Edge } from './s3-edge.ts';
import type { settings as spec } from './settings.ts';

export interface WebServerParts {
  readonly guard?: Guard;
  /** What is served as REST; default: every contract with HTTP bindings. */
  readonly contracts?: readonly DescService[];
}

/** How long requests under way get when the service stops. Unit: milliseconds. */
const drainMs = 3000;

export async function createServer(micro: Micro<SettingsOf<typeof spec>>, parts: WebServerParts = {}): Promise<Running> {
  const { settings, log, registry } = micro;
  const guard = parts.guard ?? createGuard(micro);
  const contracts = parts.contracts ?? allContracts;
  const headers: Record<string, string> = {
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    ...(settings.tlsCert ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  };
  const pageHeaders = {
    ...headers,
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
  const admit = createAdmit({ guard, trustsProxy: settings.trustsProxy });
  const listServices = methodOf(readContract(Services), 'listServices');
  const transcoder = createTranscoder({
    contracts,
    client: (desc) => micro.client(desc),
    admit,
    log,
    bodySizeBytesMax: settings.bodySizeMaxKib * 1024,
    uploadSizeBytesMax: settings.uploadSizeMaxGib * 1024 ** 3,
    headers,
    answerHeaders: sessionHeaders(settings.trustsProxy, () => micro.clock.now()),
    observe: requestMetrics(micro.metrics, log),
  });
  const s3 = createS3Edge({
    registry,
    client: (desc, request) => micro.client(desc, request),
    forward: (service, request, response) => micro.forward(service, request, response),
    guard,
    log,
    now: () => micro.clock.now(),
    host: settings.s3Host.toLowerCase(),
    trustsProxy: settings.trustsProxy,
  });
  const notifications = createNotificationsDoor({
    ...{ registry, client: (desc, request) => micro.client(desc, request), headers },
    trustsProxy: settings.trustsProxy,
  });
  const pages = await loadPages(pageHeaders, contracts);
  const allowedHosts = new Set(settings.allowedHosts.map((host) => host.toLowerCase()));

  /** Answers what is neither S3 nor REST; false: there is no such page. */
  const answerOther = async (path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const page = pages.get(path);
    const isKnown = page !== undefined || path === '/health/live' || path === '/health/ready' || path === '/metrics';
    if (!isKnown) return false;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const fault = new Fault(Code.Unimplemented, `${path} can only be read`, { reason: 'method_not_allowed', hint: 'Use GET.' });
      throw new HttpFault(405, fault, { allow: 'GET, HEAD' });
    }
    if (page) answerPage(request, response, page);
    else if (path === '/health/live') answerJson(response, 200, headers, { status: 'live' });
    else if (path === '/health/ready')
      answerReady(response, registry, headers, settings.opensDiagnostics || (await mayDiagnose(request)));
    else {
      if (!settings.opensDiagnostics && !(await mayDiagnose(request)))
        throw unauthenticated('Cannot read /metrics: no credentials were given', {
          hint: 'Send a token with the scope "platform:read".',
        });
      const text = await micro.metrics.render();
      sendText(response, 200, { ...headers, 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }, text);
    }
    return true;
  };
  /** Who may list services may see their numbers. */
  const mayDiagnose = async (request: IncomingMessage): Promise<boolean> => {
    if (!readCredentials(request)) return false;
    assertMayCall(listServices, await admit(listServices, request));
    return true;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (s3.isS3(request)) return await s3.handle(request, response);
      if (allowedHosts.size > 0) assertHost(request, allowedHosts);
      const url = request.url ?? '/';
      if (!url.startsWith('/api/v1/')) {
        const mark = url.indexOf('?');
        const path = mark < 0 ? url : url.slice(0, mark);
        if (path.startsWith(notificationsPath)) return await notifications(path, request, response);
        if (await answerOther(path, request, response)) return;
      }
      await transcoder(request, response);
    } catch (error) {
      const trace = Trace.parse(request.headers['traceparent'] as string | undefined);
      const fault = Fault.from(error);
      if (fault.code === Code.Internal) log.error('a request failed unexpectedly', { trace: trace.traceId, error });
      await sendProblem(request, response, fault, trace, headers);
    }
  };

  const listenOn = (port: number, handleThere: typeof handle): Promise<Listening> =>
    listen({
      ...{ host: settings.host, port, tlsCert: settings.tlsCert, tlsKey: settings.tlsKey },
      connectionsMax: settings.connectionsMax,
      headerTimeoutMs: settings.headerTimeoutSeconds * 1000,
      handle: handleThere,
      log,
    });
  const doors = [await listenOn(settings.port, handle)];
  const close = async (signal: AbortSignal): Promise<void> => {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(drainMs)]);
    await Promise.all(doors.map((door) => door.close(soon)));
  };
  const [{ url }] = doors as [Listening];
  log.info('listening', { url });
  if (settings.s3Port !== 0) {
    try {
      doors.push(await listenOn(settings.s3Port, s3.handle));
    } catch (error) {
      await close(AbortSignal.abort());
      throw error;
    }
    log.info('listening for S3', { url: doors.at(-1)?.url });
  }
  return { bindings: [], url, stop: close };
}

async function loadPages(headers: Record<string, string>, contracts: readonly DescService[]): Promise<Map<string, Page>> {
  const read = (name: string): Promise<string> => readFile(new URL(`pages/${name}`, import.meta.url), 'utf8');
  const manifest = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version, description } = JSON.parse(manifest) as { version: string; description: string };
  const reference = htmlPage(await read('reference.html'), headers);
  const landing = htmlPage((await read('landing.html')).replaceAll('{{version}}', version), headers);
  const openApi = jsonPage(createOpenApi({ title: 'Cellar', version, description, contracts, comments }), headers);
  return new Map([
    ['/', landing],
    ['/api', reference],
    ['/api/', reference],
    ['/api/openapi.json', openApi],
  ]);
}

/** Signing in sets the session's cookie, signing out clears it. */
function sessionHeaders(trustsProxy: boolean, now: () => number) {
  return {
    [`${Sessions.typeName}/Login`]: (answer: Message, request: IncomingMessage) => {
      const { token, expireTime } = answer as LoginResponse;
      const seconds = expireTime ? (timestampMs(expireTime) - now()) / 1000 : 86_400;
      return { 'set-cookie': sessionCookieHeader(token, seconds, isSecure(request, trustsProxy)) };
    },
    [`${Sessions.typeName}/Logout`]: (_answer: Message, request: IncomingMessage) => ({
      'set-cookie': sessionCookieHeader('', 0, isSecure(request, trustsProxy)),
    }),
  };
}

function assertHost({ headers }: IncomingMessage, allowed: ReadonlySet<string>): void {
  const asked = (headers.host ?? (headers[':authority'] as string | undefined) ?? '').replace(/:\d+$/, '').toLowerCase();
  if (allowed.has(asked)) return;
  const fault = invalidArgument(`This server does not answer for the host "${asked.slice(0, 100)}"`, {
    reason: 'host_not_allowed',
    hint: 'An administrator can add it to gateway.allowedHosts.',
  });
  throw new HttpFault(421, fault);
}
