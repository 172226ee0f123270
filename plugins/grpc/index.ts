/**
 * The grpc classifier: asks a classifier behind the gRPC contract of config/proto about each text. It gives up when the
 * host's signal does, is never the reason that a start fails (a server may come later), and says why there is no score.
 * Every declared category that an answer leaves out is unknown (error).
 */
import { readFile } from 'node:fs/promises';
import { CONTENT_TYPES, DIRECTIONS } from '#contract/screening.ts';
import type { CreateClassifier } from '#contract/classifier.ts';
import type { ClassifierResult } from '#contract/screening.ts';
import { isMapping, kindOf, readCategories, readCount, readFlag, readLanguages, readList, readText, refuseUnknown, requireText, type Given } from '../http/options.ts';
import { unknownResults } from '../http/results.ts';
import { CallChannel, CallError, type TlsFiles } from './channel.ts';
import { CLASSIFY, readResults, requestMessage } from './wire.ts';

const OPTIONS = ['address', 'categories', 'directions', 'content_types', 'languages', 'needs_context', 'tls', 'metadata', 'message_bytes_max', 'version'];
const KIB = 1024;
const MESSAGE_BYTES = { min: KIB, max: 64 * KIB * KIB, fallback: 4 * KIB * KIB } as const;

const createGrpc: CreateClassifier = (given) => {
  refuseUnknown(given, OPTIONS);
  const address = readAddress(given);
  const tls = readTls(given);
  const metadata = readMetadata(given);
  const messageBytesMax = readCount(given, 'message_bytes_max', MESSAGE_BYTES);
  const { id } = given;
  const categories = readCategories(given);
  const asked = categories.map((category) => category.id);
  let channel: CallChannel | undefined;
  return {
    id,
    version: readText(given, 'version') ?? '1.0.0',
    categories,
    directions: readList(given, 'directions', DIRECTIONS, DIRECTIONS),
    contentTypes: readList(given, 'content_types', CONTENT_TYPES, ['text']),
    languages: readLanguages(given, ['*']),
    cost: 'slow',
    needsContext: readFlag(given, 'needs_context', false),
    idempotent: true,
    async provision() {
      channel = new CallChannel({ address, metadata, messageBytesMax, tls: tls && (await readTlsFiles(tls)) });
    },
    async classify(request, signal) {
      try {
        const results = readResults(id, await channel!.call(CLASSIFY, requestMessage(request, asked), signal));
        return withMissing(results);
      } catch (error) {
        if (error instanceof CallError) return unknownResults({ id, categories }, error.reason);
        throw error;
      }
    },
    async close() {
      channel?.close();
    },
  };

  function withMissing(results: readonly ClassifierResult[]): readonly ClassifierResult[] {
    const answered = new Set(results.map(({ category }) => category));
    return [...results, ...unknownResults({ id, categories: categories.filter((category) => !answered.has(category.id)) }, 'error')];
  }
};

export default createGrpc;

/** A name and a port, or an address in a form of gRPC's own. */
function readAddress(given: Given): string {
  const address = requireText(given, 'address', "'127.0.0.1:50051'");
  const port = Number(/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(address)?.[1] ?? NaN);
  if (!(port >= 1 && port <= 65_535) && !/^(?:unix:|dns:)./.test(address)) throw new Error('address: expected host:port, unix:path or dns:name:port, without a scheme such as http://');
  return address;
}

type TlsPaths = Readonly<Partial<Record<keyof TlsFiles, string>>>;

/** `true`, or files; undefined where the connection is not encrypted. */
function readTls(given: Given): TlsPaths | undefined {
  const { tls = false } = given;
  if (typeof tls === 'boolean') return tls ? {} : undefined;
  if (!isMapping(tls)) throw new Error(`tls: expected true, or the files ca, cert and key, got ${kindOf(tls)}`);
  refuseUnknown(tls, ['ca', 'cert', 'key'], 'tls.');
  for (const [key, path] of Object.entries(tls)) if (typeof path !== 'string' || path === '') throw new Error(`tls.${key}: expected the path of a PEM file, got ${kindOf(path)}`);
  if ((tls.cert === undefined) !== (tls.key === undefined)) throw new Error('tls: cert and key go together');
  return tls as TlsPaths;
}

async function readTlsFiles(paths: TlsPaths): Promise<TlsFiles> {
  const files = await Promise.all(Object.entries(paths).map(async ([key, path]) => {
    try {
      return [key, await readFile(path)] as const;
    } catch (error) {
      throw new Error(`tls.${key}: the file cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }));
  return Object.fromEntries(files);
}

/** Headers of every call. One whose value is empty (an optional variable of the environment) is left out. */
function readMetadata(given: Given): Readonly<Record<string, string>> {
  const metadata = given.metadata ?? {};
  if (!isMapping(metadata)) throw new Error(`metadata: expected names and values, got ${kindOf(metadata)}`);
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z0-9_.-]+$/.test(name) || name.startsWith('grpc-') || name.endsWith('-bin')) throw new Error(`metadata.${name}: a name is lower case, and neither begins with grpc- nor ends with -bin`);
    if (typeof value !== 'string' || !/^[\x20-\x7e]*$/.test(value)) throw new Error(`metadata.${name}: expected printable ASCII text`);
  }
  return Object.fromEntries(Object.entries(metadata as Readonly<Record<string, string>>).filter(([, value]) => value.trim() !== ''));
}
