import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { RestSample } from '#gen/cellar/testing/v1/rest_pb.ts';
import { createOpenApi } from './openapi.ts';
import type { Comments } from './schema.ts';

const comments = JSON.parse(readFileSync(new URL('../../gen/comments.json', import.meta.url), 'utf8')) as Comments;
const describe = (...contracts: Parameters<typeof createOpenApi>[0]['contracts'][number][]) =>
  createOpenApi({ title: 'Test', version: '1', description: '', contracts, comments }) as unknown as {
    paths: Record<string, Record<string, Record<string, unknown>>>;
    components: { schemas: Record<string, Record<string, unknown>> };
  };

test('the document is valid OpenAPI 3.1', async () => {
  const result = await new Validator().validate(JSON.parse(JSON.stringify(describe(Tree, Users, RestSample))));
  assert.deepEqual(result.errors, undefined);
  assert.equal(result.valid, true);
});

test('paths, parameters, bodies and rules are those of the contract', () => {
  const { paths, components } = describe(Tree, Users, RestSample);
  const list = paths['/api/v1/tree/{path}:list']?.['get'];
  assert.equal(list?.['operationId'], 'Tree_List');
  assert.match(String(list?.['description']), /What a folder holds/);
  assert.equal(list?.['x-scope'], 'data:read');
  const parameters = list?.['parameters'] as { name: string; in: string; schema: Record<string, unknown> }[];
  assert.deepEqual(
    parameters.map((parameter) => [parameter.in, parameter.name]),
    [
      ['path', 'path'],
      ['query', 'pageSize'],
      ['query', 'pageToken'],
      ['query', 'order'],
      ['query', 'descending'],
    ],
  );
  assert.equal(parameters[1]?.schema['maximum'], 10_000);
  assert.equal(paths['/api/v1/tree:list']?.['get']?.['operationId'], 'Tree_List_2');
  const create = components.schemas['CreateUserRequest'] as { properties: Record<string, Record<string, unknown>> };
  assert.equal(create.properties['name']?.['pattern'], '^[a-z0-9][a-z0-9._-]{0,62}$');
  const roles = create.properties['roles'] as { items: { enum: string[] } } | undefined;
  assert.deepEqual(roles?.items.enum, ['ROLE_USER', 'ROLE_ADMIN']);
  const setPassword = paths['/api/v1/users/{name}:setPassword']?.['post']?.['requestBody'] as unknown as {
    content: Record<string, { schema: { properties: object } }>;
  };
  assert.deepEqual(Object.keys(setPassword.content['application/json']?.schema.properties ?? {}), ['newPassword', 'oldPassword']);
  const count = paths['/api/v1/count']?.['get']?.['responses'] as Record<string, { content: object }>;
  assert.deepEqual(Object.keys(count['200']?.content ?? {}), ['application/x-ndjson', 'text/event-stream']);
  const blob = paths['/api/v1/blobs/{path}']?.['get']?.['responses'] as object;
  assert.deepEqual(Object.keys(blob), ['200', '206', '304', '416', 'default']);
  assert.deepEqual(paths['/api/v1/fail']?.['post']?.['security'], []);
});
