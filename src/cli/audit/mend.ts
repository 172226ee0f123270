/** `weir audit rotate-key`, `rotate-master-key` and `accept-loss`: what an operator does to the log itself, while the proxy is stopped. */
import { existsSync } from 'node:fs';
import { acceptLoss } from '../../audit/acceptance.ts';
import { ContentKeyError } from '../../audit/content-key.ts';
import { rotateMasterKey } from '../../audit/content-rotation.ts';
import { openAuditLog } from '../../audit/log.ts';
import { rotateKey } from '../../audit/rotation.ts';
import { WeirError } from '../../contract/errors.ts';
import { parseCall, type Io } from '../command.ts';
import { author } from '../beside.ts';
import { openDatabase, sqliteFile } from '../../distribution.ts';
import { CONTENT_TABLES, SqlReviewContents } from '../../store/review-contents.ts';
import type { StoreDatabase } from '../../store/sql.ts';
import { configured, contentPlace, logOptions, type PlaceOptions } from './place.ts';

export async function rotateAuditKey(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { json: 'flag', config: 'value' }, 0);
  return orFail(io, 'rotate-key', async () => {
    const { index, from, to } = await rotateKey(await logOptions(options, io));
    io.stdout(options.json ? `${JSON.stringify({ index, from: from.text, to: to.text })}\n` : `entry ${index} says that ${to.name}+${to.id} signs in place of ${from.name}+${from.id}\npublic key  ${to.text}\n`);
    return 0;
  });
}

export async function rotateContentKey(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { json: 'flag', config: 'value' }, 0);
  return orFail(io, 'rotate-master-key', async () => {
    const place = await contentPlace(options, io);
    const shared = await sharedDatabase(options, io);
    const log = await openAuditLog(await logOptions(options, io));
    try {
      const { rewrapped, damaged } = await rotateMasterKey(place, author(), (record) => log.append(record, 'strict'), shared && CONTENT_TABLES.map((table) => new SqlReviewContents(shared, table)));
      io.stdout(options.json ? `${JSON.stringify({ rewrapped, damaged })}\n` : `the keys of ${rewrapped} exchanges are under the new master key in ${place.keyFile}${damaged === 0 ? '' : `; ${damaged} could not be opened and stay as they were`}; an entry says so\n`);
      return 0;
    } finally {
      await log.close();
      await shared?.close();
    }
  });
}

/** Where texts lie too; undefined: there is none here, or not yet. */
async function sharedDatabase(options: PlaceOptions, io: Io): Promise<StoreDatabase | undefined> {
  const config = await configured(options, io);
  const { store: { url }, data_dir: dataDir } = config;
  return url.startsWith('sqlite:') && !existsSync(sqliteFile(url, dataDir)) ? undefined : openDatabase(config);
}

export async function acceptAuditLoss(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { 'key-lost': 'flag', json: 'flag', config: 'value' }, 0);
  return orFail(io, 'accept-loss', async () => {
    const accepted = await acceptLoss(await logOptions(options, io), options['key-lost']);
    if (accepted === undefined) {
      io.stdout(options.json ? `${JSON.stringify({ accepted: false })}\n` : 'nothing is lost: the log is sound\n');
      return 0;
    }
    const { reason, kept, count, setAside } = accepted;
    if (options.json) io.stdout(`${JSON.stringify({ accepted: true, reason, kept, count, set_aside: setAside })}\n`);
    else io.stdout(`accepted: ${reason}\n${kept} entries are kept, ${count} that were signed are lost; an entry says so\n${setAside === undefined ? '' : `the files as they were are in ${setAside}\n`}`);
    return 0;
  });
}

export async function orFail(io: Io, verb: string, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof WeirError) && !(error instanceof ContentKeyError)) throw error;
    io.stderr(`weir audit ${verb}: ${error.message}\n`);
    return 1;
  }
}
