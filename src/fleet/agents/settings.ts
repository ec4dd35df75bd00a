import type { SettingsOf } from '#kernel/settings/setting.ts';
import { text } from '#kernel/settings/setting.ts';

export const settings = {
  helperImage: text({
    default: '',
    meaning:
      'Image of the pods that copy volumes of members on Kubernetes; it needs `sh`, `tar` and the usual commands for files, such as `busybox:1.36` has. ' +
      "Empty: the member's own image.",
  }),
};

export type AgentSettings = SettingsOf<typeof settings>;
