import { Authenticator, Sessions } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { anybody, type Caller, serviceCaller } from '#kernel/calls/caller.ts';
import { startTestPlatform, type TestPlatform, type TestPlatformOptions } from '#kernel/testing/platform.ts';
import { policyStore } from './policies/main.ts';
import { policies } from './policies-rest/main.ts';
import { type FirstLogin, firstLogin } from './users/first-login.ts';
import { users } from './users/main.ts';

/** The identity services for tests, with somebody signed in. Ends with `await using`. */
export interface TestIdentity extends AsyncDisposable {
  readonly platform: TestPlatform;
  readonly login: FirstLogin;
  readonly admin: Caller;
  /** Trades a token for a caller, as an edge does. */
  authenticate(token: string): Promise<Caller>;
  /** Makes a user without administrator's rights, signed in. */
  addUser(name: string): Promise<Caller>;
}

export const edge = serviceCaller('cellar.gateway.test');
export const password = 'a long password';

/** Checking a password takes as little as may be: what it takes is tested elsewhere. */
const quick = { passwordMemoryKib: 64, passwordPasses: 1 };

export async function startIdentity(options: TestPlatformOptions = {}): Promise<TestIdentity> {
  const platform = await startTestPlatform(
    [users, policyStore, policies].map((definition) => ({ definition, instance: '', plan: {} })),
    { ...options, settings: { 'cellar.grpc.users': { ...quick, ...options.settings?.['cellar.grpc.users'] } } },
  );
  const login = await firstLogin(platform.home);
  if (!login) throw new Error('There is no first login');
  const authenticate = async (token: string): Promise<Caller> => {
    const { caller } = await platform.client(Authenticator, edge).authenticateToken({ token });
    if (!caller) throw new Error('No caller');
    return caller;
  };
  const signIn = async (as: FirstLogin): Promise<Caller> =>
    authenticate((await platform.client(Sessions, anybody).login(as)).token);
  const admin = await signIn(login);
  return {
    platform,
    login,
    admin,
    authenticate,
    async addUser(name) {
      await platform.client(Users, admin).createUser({ name, password, roles: [Role.USER] });
      return signIn({ name, password });
    },
    [Symbol.asyncDispose]: () => platform.stop(),
  };
}
