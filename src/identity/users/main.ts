import { Authenticator, Keys, Sessions, Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { migrations } from './migrations.ts';
import { settings } from './settings.ts';

export const users = defineService({
  name: 'cellar.grpc.users',
  description: 'Users, and what they sign in with: passwords, sessions, tokens and S3 keys.',
  contracts: [Users, Sessions, Tokens, Keys, Authenticator],
  section: 'users',
  settings,
  needs: [],
  placement: 'main',
  migrations,
  isDurable: true,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
