/**
 * Undoes one layer of compression as it streams, for an upstream that compresses although it was asked not to. Output is
 * capped, so a bomb is cut at the cap and not after it; a compressed body that ends early is a failure, not an end.
 * Chains of encodings are refused.
 */
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { WeirError } from '../contract/errors.ts';

/** 8 MiB, the most that an encoder may ask of an HTTP client (RFC 9659). */
const ZSTD_WINDOW_LOG_MAX = 23;

const createZstd = (): ReturnType<typeof createZstdDecompress> => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } });

const DECODERS = { gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate, br: createBrotliDecompress, zstd: createZstd } as const;

export interface DecoderOptions {
  readonly bytesMax: number;
  readonly onBytes: (bytes: Buffer) => void;
  readonly onEnd: () => void;
  readonly onFailure: (error: WeirError) => void;
  /** Input is waiting (true), or there is room again. */
  readonly onPressure: (blocked: boolean) => void;
}

export interface Decoder {
  write(chunk: Buffer): void;
  end(): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

/** Undefined for a body that is not compressed. Throws upstream_protocol for an encoding that is not known. */
export function createDecoder(contentEncoding: string | undefined, options: DecoderOptions): Decoder | undefined {
  const encoding = (contentEncoding ?? '').trim().toLowerCase();
  if (encoding === '' || encoding === 'identity') return undefined;
  if (!Object.hasOwn(DECODERS, encoding)) throw new WeirError('upstream_protocol', 'the upstream answered in an unknown content-encoding');
  const engine = DECODERS[encoding as keyof typeof DECODERS]();
  let bytes = 0;
  let failed = false;
  const fail = (error: WeirError): void => {
    if (failed) return;
    failed = true;
    engine.destroy();
    options.onFailure(error);
  };
  engine.on('data', (chunk: Buffer) => {
    if (failed) return;
    bytes += chunk.length;
    if (bytes > options.bytesMax) fail(new WeirError('response_too_large'));
    else options.onBytes(chunk);
  });
  engine.on('end', () => failed || options.onEnd());
  engine.on('drain', () => options.onPressure(false));
  engine.on('error', () => fail(new WeirError('upstream_protocol', 'the upstream sent a compressed body that does not decompress')));
  return {
    write(chunk) {
      if (!failed && !engine.write(chunk)) options.onPressure(true);
    },
    end() {
      if (!failed) engine.end();
    },
    pause: () => void engine.pause(),
    resume: () => void engine.resume(),
    destroy() {
      failed = true;
      engine.destroy();
    },
  };
}
