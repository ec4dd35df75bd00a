import { type LocalLimits, localLimits } from '../local/limits.ts';

/** Limits of a connection that was dialled by the side that serves. Both ends have their own; the smaller counts. */
export interface DialledLimits extends LocalLimits {
  /** How long dialling, with the TLS handshake, may take. Unit: milliseconds. */
  readonly dialMsMax: number;
}

/** Other machines are further away, and less trusted, than the next process. */
export const dialledLimits: DialledLimits = Object.freeze({
  ...localLimits,
  callsMax: 256,
  streamsMax: 128,
  dialMsMax: 10_000,
  greetingMsMax: 10_000,
  partialFrameMsMax: 60_000,
  silenceMsMax: 15_000,
});
