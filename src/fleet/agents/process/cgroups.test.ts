import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CgroupTrees, readTrees } from './cgroups.ts';

const table: readonly [string, string, CgroupTrees][] = [
  [
    'version 2 alone',
    '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate',
    { unified: '/sys/fs/cgroup', controllers: {} },
  ],
  [
    'version 1, with two controllers in one tree, and version 2 beside',
    [
      '22 1 8:1 / / rw - ext4 /dev/sda1 rw',
      '33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory',
      '39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
      '40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd',
      '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ].join('\n'),
    {
      unified: '/sys/fs/cgroup/unified',
      controllers: { cpu: '/sys/fs/cgroup/cpu,cpuacct', memory: '/sys/fs/cgroup/memory', pids: '/sys/fs/cgroup/pids' },
    },
  ],
  ['none', '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n', { controllers: {} }],
];

for (const [name, mountinfo, trees] of table) test(`trees of ${name}`, () => assert.deepEqual(readTrees(mountinfo), trees));
