/** Where a secret was. */
export const masked = '(secret)';

/** Lines of PEM that say what follows are no secret. */
const isSecretLine = (line: string): boolean => line.length >= 16 && !line.startsWith('-----');

/**
 * Takes secrets out of whatever is to be shown: of texts, and of all texts and names in JSON values. Found are a secret as it is, its lines when it
 * has several, and what becomes of it in addresses and in Base64, also in the middle of something longer, such as a password in a header.
 */
export function createMask(secrets: readonly string[]): <T>(value: T) => T {
  const forms = new Set<string>();
  for (const secret of secrets.filter((text) => text !== '')) {
    const lines = secret.split(/\r?\n/).filter(isSecretLine);
    // A key in PEM is masked line by line: its lines stand alone in JSON and in logs.
    for (const text of lines.length > 1 ? lines : [secret]) forms.add(text);
    if (lines.length <= 1) for (const form of formsOf(secret)) forms.add(form);
  }
  // Longer ones first: one may be a part of another.
  const all = [...forms].toSorted((a, b) => b.length - a.length);
  const maskText = (text: string): string => {
    let shown = text;
    for (const form of all) if (shown.includes(form)) shown = shown.replaceAll(form, masked);
    return shown;
  };
  const maskValue = (value: unknown): unknown => {
    if (typeof value === 'string') return maskText(value);
    if (Array.isArray(value)) return value.map(maskValue);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [maskText(name), maskValue(one)]));
  };
  return <T>(value: T): T => maskValue(value) as T;
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const forms = [encodeURIComponent(secret), secret.toUpperCase(), JSON.stringify(secret).slice(1, -1)];
  // Three bytes become four letters: where a secret stands decides which, but for those at its ends.
  for (const before of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]);
    const inner = whole.subarray(before === 0 ? 0 : 3, whole.length - (whole.length % 3));
    if (inner.length < 6) continue;
    forms.push(inner.toString('base64'), inner.toString('base64url'));
  }
  return forms;
}
