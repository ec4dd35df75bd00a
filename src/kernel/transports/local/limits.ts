/** Limits of one connection. Both ends have their own; the smaller counts. */
export interface LocalLimits {
  /** Largest frame either way, so largest message less some fifty bytes. Unit: bytes. */
  readonly frameBytesMax: number;
  /** Calls under way on one connection, streams included. */
  readonly callsMax: number;
  /** Streams under way on one connection. */
  readonly streamsMax: number;
  /** Connections of one server. */
  readonly connectionsMax: number;
  /** How long connecting, or greeting, may take. Unit: milliseconds. */
  readonly greetingMsMax: number;
  /** How long a frame may stay half arrived. Unit: milliseconds. */
  readonly partialFrameMsMax: number;
  /** How long a peer with calls under way may say nothing, not even to a ping. Unit: milliseconds. */
  readonly silenceMsMax: number;
  /** What waits to be written to a client that does not read before no more is read from it. Unit: bytes. */
  readonly outboundBytesMax: number;
}

export const localLimits: LocalLimits = Object.freeze({
  frameBytesMax: 16 * 1024 * 1024,
  callsMax: 8192,
  streamsMax: 1024,
  connectionsMax: 1024,
  greetingMsMax: 3000,
  partialFrameMsMax: 30_000,
  silenceMsMax: 30_000,
  outboundBytesMax: 8 * 1024 * 1024,
});
