/** True when the list names the service: as it is, by its beginning (`cellar.grpc.data.*`), without its instance, or by being empty. */
export function matchesAny(patterns: readonly string[], service: string): boolean {
  if (patterns.length === 0) return true;
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? service.startsWith(pattern.slice(0, -1)) : service === pattern || service.startsWith(`${pattern}.`),
  );
}
