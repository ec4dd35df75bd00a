import { boolean, integer, list, text } from '#kernel/settings/setting.ts';

const needsRestart = true;

export const settings = {
  host: text({
    default: '127.0.0.1',
    pattern: /^[^\s/]+$/,
    allowed: 'an IP address or a host name',
    meaning: 'Address to listen on. `0.0.0.0` or `::` lets other machines in; use TLS then.',
    needsRestart,
  }),
  port: integer({ default: 8080, min: 0, max: 65_535, meaning: 'Port to listen on; 0 takes any that is free.', needsRestart }),
  tlsCert: text({
    default: '',
    meaning: 'PEM file with the certificate and its chain. With it and `tlsKey`: HTTPS, HTTP/2 and HTTP/1.1.',
    needsRestart,
  }),
  tlsKey: text({ default: '', meaning: "PEM file with the certificate's private key.", needsRestart }),
  allowedHosts: list({
    default: [],
    meaning: 'Host names that requests may ask for, without port. Empty: any.',
    needsRestart,
  }),
  s3Host: text({
    default: '',
    meaning:
      'Host name under which every request is S3, such as `s3.example.org`; buckets answer at `BUCKET.s3.example.org` too. Elsewhere S3 is known by its signature.',
    needsRestart,
  }),
  s3Port: integer({
    default: 0,
    min: 0,
    max: 65_535,
    meaning: 'Another port, where every request is S3, such as one without a signature to a public bucket; 0: none.',
    needsRestart,
  }),
  trustsProxy: boolean({
    default: false,
    meaning:
      "Take the client's address and scheme from `X-Forwarded-For` and `X-Forwarded-Proto`. Only behind a proxy that sets them.",
    needsRestart,
  }),
  opensDiagnostics: boolean({
    default: false,
    meaning:
      'Answer `/metrics`, and `/health/ready` with the names of services, without credentials. Otherwise they take a token with the scope `platform:read`.',
    needsRestart,
  }),
  bodySizeMaxKib: integer({ default: 4096, min: 1, max: 1_048_576, unit: 'KiB', meaning: 'Largest JSON body.', needsRestart }),
  uploadSizeMaxGib: integer({
    default: 5120,
    min: 1,
    max: 1_048_576,
    unit: 'GiB',
    meaning: 'Largest uploaded file.',
    needsRestart,
  }),
  connectionsMax: integer({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    meaning: 'Open connections; more are refused.',
    needsRestart,
  }),
  headerTimeoutSeconds: integer({
    default: 20,
    min: 1,
    max: 3600,
    unit: 's',
    meaning: 'How long a client may take to send the head of a request.',
    needsRestart,
  }),
} as const;
