import { integer, text } from '#kernel/settings/setting.ts';

export const settings = {
  listen: text({
    default: '',
    pattern: /^(\S+:\d{1,5})?$/,
    allowed: 'host:port',
    meaning: 'Where agents on other machines dial in by mutual TLS, such as `0.0.0.0:7072`. Empty: none can.',
    needsRestart: true,
  }),
  days: integer({
    default: 365,
    min: 1,
    max: 3650,
    unit: 'days',
    meaning: 'How long the certificate of an agent lasts that is enrolled from now on.',
  }),
  silenceSeconds: integer({
    default: 15,
    min: 1,
    max: 15,
    unit: 's',
    meaning: 'An agent that says nothing for so long, though it is asked, is taken as lost.',
    needsRestart: true,
  }),
} as const;
