/** A running cyclic redundancy check; `digest` is big-endian. */
export interface Crc {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

const crc32cTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

/** CRC-32C (Castagnoli), 4 bytes. */
export function createCrc32c(): Crc {
  let state = 0xffffffff;
  return {
    update(bytes) {
      let value = state;
      for (let index = 0; index < bytes.length; index++) value = crc32cTable[(value ^ bytes[index]!) & 0xff]! ^ (value >>> 8);
      state = value;
    },
    digest() {
      const result = Buffer.alloc(4);
      result.writeUInt32BE((state ^ 0xffffffff) >>> 0);
      return result;
    },
  };
}

// JavaScript has no fast 64-bit integers: the state and the table are kept as two 32-bit halves.
const crc64High = new Uint32Array(256);
const crc64Low = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let value = BigInt(index);
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
  crc64High[index] = Number(value >> 32n);
  crc64Low[index] = Number(value & 0xffffffffn);
}

/** CRC-64/NVME, 8 bytes. */
export function createCrc64Nvme(): Crc {
  let high = 0xffffffff;
  let low = 0xffffffff;
  return {
    update(bytes) {
      for (let index = 0; index < bytes.length; index++) {
        const slot = (low ^ bytes[index]!) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ crc64Low[slot]!;
        high = (high >>> 8) ^ crc64High[slot]!;
      }
    },
    digest() {
      const result = Buffer.alloc(8);
      result.writeUInt32BE(~high >>> 0, 0);
      result.writeUInt32BE(~low >>> 0, 4);
      return result;
    },
  };
}
